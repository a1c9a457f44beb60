#include "sys/terminal/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

namespace grex::sys {

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

unsigned columns_of(int terminal) {
  constexpr unsigned usual = 80;
  winsize size{};
  return ::ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual;
}

unsigned rows_of(int terminal) {
  constexpr unsigned usual = 24;
  winsize size{};
  return ::ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : usual;
}

bool is_in_foreground_of(int terminal) { return ::tcgetpgrp(terminal) == ::getpgrp(); }

}  // namespace grex::sys
