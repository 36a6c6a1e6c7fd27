// An access to a page that cannot be touched, inside a kernel, ends the launch and not the process.
#include <signal.h>

#include <mutex>

#include "worker.h"

namespace dicache_host {
namespace {

constexpr int caught[] = {SIGSEGV, SIGBUS, SIGFPE};
struct sigaction previous[65];

uintptr_t instruction_of(void* context) {
#if defined(__x86_64__)
  return static_cast<uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return static_cast<uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.pc);
#else
  return 0;
#endif
}

void handle(int signal, siginfo_t* info, void* context) {
  Worker* w = this_worker();
  if (w != nullptr && w->in_kernel) {
    w->in_kernel = false;
    w->fault = {signal, info->si_code, reinterpret_cast<uintptr_t>(info->si_addr), instruction_of(context)};
    siglongjmp(w->escape, 1);
  }
  // Not ours: whoever handled it before us handles it now.
  const struct sigaction& before = previous[signal];
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
    sigaction(signal, &before, nullptr);
  } else {
    before.sa_handler(signal);
  }
}

}  // namespace

void install_fault_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = &handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (int s : caught) sigaction(s, &action, &previous[s]);
  });
}

}  // namespace dicache_host
