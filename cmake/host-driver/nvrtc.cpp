// NVRTC without a compiler: what it would compile has been compiled into this library. The source given at run time must be the same,
// byte for byte; the "machine code" is a name for it.
#include <cstring>
#include <string>
#include <vector>

#include "call.h"
#include "control.h"
#include "handles.h"
#include "module.h"

using namespace dicache_host;

namespace {

struct Program {
  std::string name, source, log, image;
  std::vector<std::pair<std::string, std::string>> headers;
};

// Not a version NVRTC has, so that a cache of compiled kernels keeps these images apart from real ones.
constexpr int version_major = 12, version_minor = 99;
constexpr int architectures[] = {50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90};

Handles<Program>& programs() {
  static auto* all = new Handles<Program>("NVRTC program");
  return *all;
}

bool same(const SourceText& text, const std::string& source) {
  return source.size() == static_cast<size_t>(text.end - text.begin) && std::memcmp(source.data(), text.begin, source.size()) == 0;
}

// The line where two texts part.
size_t first_difference(const SourceText& text, const std::string& source) {
  size_t line = 1, size = static_cast<size_t>(text.end - text.begin);
  for (size_t i = 0; i < size && i < source.size() && text.begin[i] == source[i]; i++) line += source[i] == '\n';
  return line;
}

// Whether the host driver runs what these options ask for; the ones that only steer the real compiler are taken and have no effect.
bool option_known(const std::string& option) {
  for (const char* prefix : {"--gpu-architecture=", "-arch=", "--std=", "-std=", "--ptxas-options=", "-Xptxas", "--generate-line-info",
                             "-lineinfo", "--fmad=", "-fmad=", "--device-debug", "-G", "-v"})
    if (option.rfind(prefix, 0) == 0) return true;
  return false;
}

const Unit* unit_named(const std::string& name) {
  for (const Unit& unit : units())
    if (name == unit.texts[0].name) return &unit;
  return nullptr;
}

std::string stale(const std::string& name, size_t line) {
  return name + "(" + std::to_string(line) + "): error: this text is not the one compiled into the host driver; build the host driver again, "
         "then the program that brings it along\n";
}

nvrtcResult compile(Program& p) {
  const Unit* unit = unit_named(p.name);
  if (unit == nullptr) {
    p.log += p.name + ": error: no file of this name is compiled into the host driver\n";
    return NVRTC_ERROR_COMPILATION;
  }
  if (!same(unit->texts[0], p.source)) {
    p.log += stale(p.name, first_difference(unit->texts[0], p.source));
    return NVRTC_ERROR_COMPILATION;
  }
  for (unsigned i = 1; i < unit->text_count; i++) {
    const SourceText& text = unit->texts[i];
    const std::string* given = nullptr;
    for (const auto& header : p.headers)
      if (header.first == text.name) given = &header.second;
    if (given == nullptr || !same(text, *given)) {
      std::string missing = p.name + ": error: cannot open source file \"" + text.name + "\"\n";
      p.log += given == nullptr ? missing : stale(text.name, first_difference(text, *given));
      return NVRTC_ERROR_COMPILATION;
    }
  }
  p.image = image_of(*unit);
  return NVRTC_SUCCESS;
}

void copy_out(const std::string& text, char* buffer) { std::memcpy(buffer, text.c_str(), text.size() + 1); }

}  // namespace

namespace dicache_host {

void list_programs(std::string& text, size_t& count) { programs().list(text, count); }
void clear_programs() { programs().clear(); }

}  // namespace dicache_host

DICACHE_EXPORT const char* nvrtcGetErrorString(nvrtcResult result) {
  Call call("nvrtcGetErrorString");
  switch (result) {
    case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
    case NVRTC_ERROR_INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
    case NVRTC_ERROR_INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
    case NVRTC_ERROR_INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
    case NVRTC_ERROR_COMPILATION: return "NVRTC_ERROR_COMPILATION";
    case NVRTC_ERROR_INTERNAL_ERROR: return "NVRTC_ERROR_INTERNAL_ERROR";
  }
  return "NVRTC_ERROR unknown";
}

DICACHE_EXPORT nvrtcResult nvrtcVersion(int* major, int* minor) {
  Call call("nvrtcVersion");
  if (call.injected()) return NVRTC_ERROR_INTERNAL_ERROR;
  *major = version_major;
  *minor = version_minor;
  return NVRTC_SUCCESS;
}

DICACHE_EXPORT nvrtcResult nvrtcGetNumSupportedArchs(int* count) {
  Call call("nvrtcGetNumSupportedArchs");
  if (call.injected()) return NVRTC_ERROR_INTERNAL_ERROR;
  *count = static_cast<int>(std::size(architectures));
  return NVRTC_SUCCESS;
}

DICACHE_EXPORT nvrtcResult nvrtcGetSupportedArchs(int* archs) {
  Call call("nvrtcGetSupportedArchs");
  if (call.injected()) return NVRTC_ERROR_INTERNAL_ERROR;
  std::copy(std::begin(architectures), std::end(architectures), archs);
  return NVRTC_SUCCESS;
}

DICACHE_EXPORT nvrtcResult nvrtcCreateProgram(void** program, const char* source, const char* name, int count, const char* const* headers,
                                              const char* const* names) {
  Call call("nvrtcCreateProgram");
  if (call.injected()) return NVRTC_ERROR_INTERNAL_ERROR;
  if (source == nullptr || count < 0) return NVRTC_ERROR_INVALID_INPUT;
  auto created = std::make_shared<Program>();
  created->name = name == nullptr ? "default_program" : name;
  created->source = source;
  for (int i = 0; i < count; i++) created->headers.emplace_back(names[i], headers[i]);
  *program = programs().add(std::move(created));
  return NVRTC_SUCCESS;
}

DICACHE_EXPORT nvrtcResult nvrtcCompileProgram(void* handle, int count, const char* const* options) {
  Call call("nvrtcCompileProgram");
  if (call.injected()) return NVRTC_ERROR_INTERNAL_ERROR;
  std::shared_ptr<Program> program = programs().find(handle, "nvrtcCompileProgram");
  if (program == nullptr) return NVRTC_ERROR_INVALID_PROGRAM;
  for (int i = 0; i < count; i++) {
    if (option_known(options[i])) continue;
    program->log += std::string("nvrtc: error: the host driver cannot honour the option '") + options[i] + "'\n";
    return NVRTC_ERROR_INVALID_OPTION;
  }
  return compile(*program);
}

DICACHE_EXPORT nvrtcResult nvrtcGetProgramLogSize(void* handle, size_t* size) {
  Call call("nvrtcGetProgramLogSize");
  if (call.injected()) return NVRTC_ERROR_INTERNAL_ERROR;
  std::shared_ptr<Program> program = programs().find(handle, "nvrtcGetProgramLogSize");
  if (program == nullptr) return NVRTC_ERROR_INVALID_PROGRAM;
  *size = program->log.size() + 1;
  return NVRTC_SUCCESS;
}

DICACHE_EXPORT nvrtcResult nvrtcGetProgramLog(void* handle, char* log) {
  Call call("nvrtcGetProgramLog");
  if (call.injected()) return NVRTC_ERROR_INTERNAL_ERROR;
  std::shared_ptr<Program> program = programs().find(handle, "nvrtcGetProgramLog");
  if (program == nullptr) return NVRTC_ERROR_INVALID_PROGRAM;
  copy_out(program->log, log);
  return NVRTC_SUCCESS;
}

namespace {

// Machine code and PTX are the same to the host driver.
nvrtcResult image_size(const char* name, void* handle, size_t* size) {
  Call call(name);
  if (call.injected()) return NVRTC_ERROR_INTERNAL_ERROR;
  std::shared_ptr<Program> program = programs().find(handle, name);
  if (program == nullptr || program->image.empty()) return NVRTC_ERROR_INVALID_PROGRAM;
  *size = program->image.size() + 1;
  return NVRTC_SUCCESS;
}

nvrtcResult image(const char* name, void* handle, char* buffer) {
  Call call(name);
  if (call.injected()) return NVRTC_ERROR_INTERNAL_ERROR;
  std::shared_ptr<Program> program = programs().find(handle, name);
  if (program == nullptr || program->image.empty()) return NVRTC_ERROR_INVALID_PROGRAM;
  copy_out(program->image, buffer);
  return NVRTC_SUCCESS;
}

}  // namespace

DICACHE_EXPORT nvrtcResult nvrtcGetCUBINSize(void* program, size_t* size) { return image_size("nvrtcGetCUBINSize", program, size); }
DICACHE_EXPORT nvrtcResult nvrtcGetCUBIN(void* program, char* buffer) { return image("nvrtcGetCUBIN", program, buffer); }
DICACHE_EXPORT nvrtcResult nvrtcGetPTXSize(void* program, size_t* size) { return image_size("nvrtcGetPTXSize", program, size); }
DICACHE_EXPORT nvrtcResult nvrtcGetPTX(void* program, char* buffer) { return image("nvrtcGetPTX", program, buffer); }

DICACHE_EXPORT nvrtcResult nvrtcDestroyProgram(void** program) {
  Call call("nvrtcDestroyProgram", Fails::after);
  bool known = programs().remove(*program, "nvrtcDestroyProgram") != nullptr;
  *program = nullptr;
  if (!known) return NVRTC_ERROR_INVALID_PROGRAM;
  return call.injected() ? NVRTC_ERROR_INTERNAL_ERROR : NVRTC_SUCCESS;
}
