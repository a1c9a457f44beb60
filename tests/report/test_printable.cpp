#include "cli/report/printable.hpp"

#include <doctest/doctest.h>

using namespace grex::cli;

TEST_CASE("plain text and other alphabets are shown unchanged") {
  CHECK(printable("plain ~ text") == "plain ~ text");
  CHECK(printable("Größe → 鎖 🔒") == "Größe → 鎖 🔒");
}

// SECURITY.md: put escapes for the terminal into a note, a command or a path | shown as `\x1b` and the like, also
// characters that change the direction of a line
TEST_CASE("control characters are shown as escapes") {
  CHECK(printable("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(printable("\x1b[2J\x07\x7f") == "\\x1b[2J\\x07\\x7f");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\xc2\\x9b31m");             // CSI as a C1 control
  CHECK(printable("\xe2\x80\xae") == "\\xe2\\x80\\xae");  // right-to-left override
}

TEST_CASE("bytes that are not UTF-8 are shown as escapes") {
  CHECK(printable("\xff") == "\\xff");
  CHECK(printable("\xc3") == "\\xc3");
  CHECK(printable("\xc3(") == "\\xc3(");
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");  // overlong
  CHECK(printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // surrogate
  CHECK(printable("\xf5\x80\x80\x80") == "\\xf5\\x80\\x80\\x80");  // beyond Unicode
  CHECK(printable(std::string("\0", 1)) == "\\x00");
}

TEST_CASE("a command line can be pasted into a shell") {
  CHECK(shell_line({"make", "-j8", "a b", "", "it's", "$HOME"}) == "make -j8 'a b' '' 'it'\\''s' '$HOME'");
  // Of what is escaped in it, shells agree about octal numbers alone.
  CHECK(shell_line({"a\nb", "\x1b[1m",
                    "\xff"
                    "f",
                    "it's\t\\", "\u200b"}) == R"($'a\nb' $'\033[1m' $'\377f' $'it\047s\t\134' $'\342\200\213')");
}

// SECURITY.md: put escapes for the terminal into a note, a command or a path | shown as `\x1b` and the like, also
// characters that change the direction of a line
TEST_CASE("invisible characters, and those that change the direction of a line, are shown as bytes") {
  // The first and the last of each range, but for those that are one character.
  for (const char* const text :
       {"\u00ad",     "\u034f",     "\u061c",     "\u115f",     "\u1160",    "\u17b4",     "\u17b5",
        "\u180b",     "\u180e",     "\u180f",     "\u200b",     "\u200f",    "\u2028",     "\u202e",
        "\u2060",     "\u2066",     "\u206f",     "\u2800",     "\u3164",    "\ufe00",     "\ufe0f",
        "\ufeff",     "\uffa0",     "\ufff0",     "\ufff9",     "\ufffb",    "\U0001bca0", "\U0001bca3",
        "\U0001d173", "\U0001d17a", "\U000e0000", "\U000e0041", "\U000e0fff"}) {
    CAPTURE(text);
    CHECK(printable(text).starts_with("\\x"));
    CHECK(printable(text).size() == 4 * std::string_view(text).size());
  }
  // Their neighbours.
  for (const char* const text :
       {"\u034e", "\u0350", "\u1161", "\u17b3", "\u17b6", "\u180a", "\u1810", "\u2801", "\u3163", "\u3165", "\ufdff",
        "\ufe10", "\uff9f", "\uffa1", "\uffef", "\ufffd", "\U0001d17b"}) {
    CAPTURE(text);
    CHECK(printable(text) == text);
  }
  CHECK(printable("é ‒ 日本") == "é ‒ 日本");
}

TEST_CASE("a text is cut by its width on a terminal, never within a character, and the cut is marked") {
  CHECK(width_of("añ日") == 4);
  CHECK(cut_to("abcd", 4) == "abcd");
  CHECK(cut_to("abcde", 4) == "abc…");
  CHECK(cut_to("ab日本", 5) == "ab日…");
  CHECK(cut_to("ab日本", 4) == "ab…");
  CHECK(cut_front_to("/a/b/c", 6) == "/a/b/c");
  CHECK(cut_front_to("/a/b/c", 5) == "…/b/c");
  CHECK(cut_front_to("日本/c", 4) == "…/c");
}
