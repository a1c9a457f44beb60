#include "cli/locking/lost_watch.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <utility>

#include "support/temp_dir.hpp"

using namespace grex;

TEST_CASE("a command that ends while a thread looks for the lock files gets its last look all the same") {
  const test::TempDir dir;
  const std::string path = dir.make("pack") + "/.grex-lock";
  test::write_file(dir / "pack/work", "");
  auto directory = std::make_shared<sys::Directory>(std::move(*sys::open_directory(dir / "pack")));
  core::HeldFile held{std::move(*sys::open_lock_file(path, sys::OpenFor::locking)), path, {directory, ".grex-lock"}};
  REQUIRE(*sys::try_lock(held.file.fd.get(), sys::Mode::exclusive) == sys::Acquire::held);
  std::vector<core::HeldFile> files;
  files.push_back(std::move(held));
  cli::Acquired acquired;
  acquired.locks.emplace_back(core::Tier::per_pack, dir / "pack", sys::Mode::exclusive, std::move(files));
  cli::LockOptions options;
  options.verbosity = cli::Verbosity::quiet;
  const cli::Events events;
  cli::LostWatch watch(acquired, options, cli::IfLost::restore, {}, events);

  std::filesystem::remove(path);
  watch.do_now();
  std::filesystem::remove(path);
  watch.look_last();
  const auto& restored = acquired.locks.front().restored();
  REQUIRE_FALSE(restored.empty());
  CHECK(restored.back().file.file.id == sys::look_up(path)->id);
}
