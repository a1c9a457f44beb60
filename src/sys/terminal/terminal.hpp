#pragma once

namespace grex::sys {

bool is_terminal(int fd);

/// How many columns and rows a terminal has; 80 and 24 if it doesn't report them.
unsigned columns_of(int terminal);
unsigned rows_of(int terminal);

/// Whether this process is in the foreground of a terminal, and so may write at its
/// cursor.
bool is_in_foreground_of(int terminal);

}  // namespace grex::sys
