#include "shared_layout.h"

#include <dlfcn.h>
#include <elf.h>

#include <cstring>
#include <fstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "module.h"
#include "worker.h"

namespace dicache_host {
namespace {

// A __shared__ variable: a thread-local one, named in this library's symbol table under the file it comes from.
struct Variable {
  size_t offset, bytes;
  std::string symbol;
};

using Files = std::unordered_map<std::string, std::vector<Variable>>;

std::vector<char> own_file() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&own_file), &info) == 0) return {};
  std::ifstream in(info.dli_fname, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Files read_symbols() {
  Files files;
  std::vector<char> image = own_file();
  if (image.size() < sizeof(Elf64_Ehdr)) return files;
  auto* header = reinterpret_cast<const Elf64_Ehdr*>(image.data());
  auto* sections = reinterpret_cast<const Elf64_Shdr*>(image.data() + header->e_shoff);
  for (int s = 0; s < header->e_shnum; s++) {
    if (sections[s].sh_type != SHT_SYMTAB) continue;
    auto* symbols = reinterpret_cast<const Elf64_Sym*>(image.data() + sections[s].sh_offset);
    const char* names = image.data() + sections[sections[s].sh_link].sh_offset;
    std::string file;
    // The symbol of a source file stands before the local symbols of that file.
    for (size_t i = 0; i < sections[s].sh_size / sizeof(Elf64_Sym); i++) {
      int type = ELF64_ST_TYPE(symbols[i].st_info);
      if (type == STT_FILE) file = names + symbols[i].st_name;
      if (type == STT_TLS) files[file].push_back({symbols[i].st_value, symbols[i].st_size, names + symbols[i].st_name});
    }
  }
  return files;
}

struct Layout {
  std::vector<Variable> of_file;   // filled before each block
  std::unordered_map<const Kernel*, size_t> of_kernel;
};

bool in_body_of(const std::string& symbol, const char* kernel) {
  std::string mangled = std::to_string(std::strlen(kernel)) + kernel + "E";
  return symbol.rfind("_ZZ" + mangled, 0) == 0;
}

bool in_any_body(const std::string& symbol, const Unit& unit) {
  for (unsigned i = 0; i < unit.kernel_count; i++)
    if (in_body_of(symbol, unit.kernels[i].name)) return true;
  return false;
}

// Keyed by kernel: every kernel of a file shares the file's entry.
std::unordered_map<const Kernel*, std::shared_ptr<Layout>> build() {
  std::unordered_map<const Kernel*, std::shared_ptr<Layout>> result;
  Files files = read_symbols();
  for (const Unit& unit : units()) {
    std::string name = unit.texts[0].name;
    auto layout = std::make_shared<Layout>();
    layout->of_file = files[name.substr(0, name.rfind('.')) + ".cpp"];
    for (unsigned i = 0; i < unit.kernel_count; i++) {
      const Kernel& kernel = unit.kernels[i];
      for (const Variable& v : layout->of_file)
        if (in_body_of(v.symbol, kernel.name) || !in_any_body(v.symbol, unit)) layout->of_kernel[&kernel] += v.bytes;
      result[&kernel] = layout;
    }
  }
  return result;
}

const Layout& layout_of(const Kernel& kernel) {
  static const auto layouts = build();
  return *layouts.at(&kernel);
}

}  // namespace

void fill_static_shared(const Kernel& kernel, uintptr_t thread_local_begin, unsigned char value) {
  for (const Variable& v : layout_of(kernel).of_file) std::memset(reinterpret_cast<void*>(thread_local_begin + v.offset), value, v.bytes);
}

size_t static_shared_bytes(const Kernel& kernel) {
  const auto& sizes = layout_of(kernel).of_kernel;
  auto it = sizes.find(&kernel);
  return it == sizes.end() ? 0 : it->second;
}

}  // namespace dicache_host
