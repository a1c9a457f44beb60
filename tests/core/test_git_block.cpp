#include "core/lock/git_block.hpp"

#include <doctest/doctest.h>

using namespace grex::core;

namespace {

// The content after the edit, if any.
std::string with_block(const std::string& content) {
  const auto edit = edit_to_add_block(content);
  return edit ? content.substr(0, edit->offset) + edit->rest : content;
}

// Change the version along with the patterns: a block of this version is never replaced.
const std::string block =
    "# BEGIN grex-lock 1: lock files, see GIT in grex-lock(1)\n"
    ".grex-lock\n"
    ".grex.sync.lock\n"
    ".grex.lock\n"
    ".grex.slot-*.lock\n"
    ".grex-backend-*.lock\n"
    "*.grex-backend.lock\n"
    "**/.grex/locks/**/*.backend.lock\n"
    ".grex-lock.gate\n"
    ".grex.sync.lock.gate\n"
    ".grex.lock.gate\n"
    ".grex-backend-*.lock.gate\n"
    "*.backend.lock.gate\n"
    "# END grex-lock\n";

}  // namespace

TEST_CASE("the block is appended, on a line of its own") {
  CHECK(with_block("") == block);
  CHECK(with_block("mine\n") == "mine\n" + block);
  CHECK(with_block("mine") == "mine\n" + block);
  CHECK(with_block("\n") == "\n" + block);
}

TEST_CASE("a block of this version or a newer one stays, with whatever is in it") {
  CHECK_FALSE(edit_to_add_block(block));
  CHECK_FALSE(edit_to_add_block("mine\n" + block + "yours"));
  CHECK_FALSE(edit_to_add_block("# BEGIN grex-lock 1\r\n# END grex-lock\r\n"));
  CHECK_FALSE(edit_to_add_block("# BEGIN grex-lock 99: newer\n*\n# END grex-lock, the end"));
  CHECK_FALSE(edit_to_add_block("# BEGIN grex-lock 0:\n# END grex-lock\n" + block));
}

TEST_CASE("an older block is replaced as a whole, where it was") {
  CHECK(with_block("# BEGIN grex-lock 0: older\nold\n# END grex-lock\n") == block);
  CHECK(with_block("mine\n# BEGIN grex-lock 0\nold\n# END grex-lock\nyours") == "mine\n" + block + "yours");
  CHECK(with_block("mine\n# BEGIN grex-lock 0\nold\n# END grex-lock") == "mine\n" + block);
}

TEST_CASE("what is no block is left as it is") {
  for (const std::string content :
       {"# BEGIN grex-lock 1: no end\n.grex-lock\n", "# END grex-lock\n", "# BEGIN grex-lock\n# END grex-lock\n",
        "# BEGIN grex-lock x\n# END grex-lock\n", " # BEGIN grex-lock 1\n# END grex-lock\n",
        "# BEGIN grex-lock 99999999999999999999\n# END grex-lock\n"}) {
    CAPTURE(content);
    CHECK(with_block(content) == content + block);
  }
  // Only the last first line has an end.
  CHECK(with_block("# BEGIN grex-lock 0\nmine\n# BEGIN grex-lock 0\n# END grex-lock\n") ==
        "# BEGIN grex-lock 0\nmine\n" + block);
}

TEST_CASE("a .git file and commondir name a path") {
  CHECK(gitdir_in("gitdir: ../.git/modules/x\n") == "../.git/modules/x");
  CHECK(gitdir_in("gitdir: /repo/.git/worktrees/y\r\n") == "/repo/.git/worktrees/y");
  CHECK(gitdir_in("gitdir: a b\nc\n") == "a b\nc");
  for (const char* const text : {"", "gitdir:", "gitdir: ", "gitdir: \n", "gitdir:x", " gitdir: x", "x"}) {
    CHECK_FALSE(gitdir_in(text));
  }
  CHECK_FALSE(gitdir_in(std::string("gitdir: a\0b", 11)));
  CHECK(commondir_in("../..\n") == "../..");
  CHECK_FALSE(commondir_in("\n"));
}
