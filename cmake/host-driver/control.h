// What the control functions (dicacheHost...) ask of the rest of the driver: what is alive, and letting go of it.
#pragma once

#include <cstddef>
#include <string>

namespace dicache_host {

// Each adds lines to the text and to the count.
void list_modules(std::string& text, size_t& count);
void list_programs(std::string& text, size_t& count);
void list_cublas(std::string& text, size_t& count);

void clear_modules();
void clear_programs();
void clear_cublas();

size_t contexts_retained();
void release_contexts();

}  // namespace dicache_host
