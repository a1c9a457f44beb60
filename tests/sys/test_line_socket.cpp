#include "sys/process/line_socket.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>

#include "sys/file/io.hpp"

using namespace grex;

namespace {

constexpr std::size_t longest = 1000;

struct Ends {
  sys::LineSocket a;
  sys::LineSocket b;
};

Ends connected() {
  auto ends = sys::LineSocket::connected_pair();
  REQUIRE(ends);
  return {sys::LineSocket(std::move(ends->first), longest), sys::LineSocket(std::move(ends->second), longest)};
}

}  // namespace

TEST_CASE("lines and descriptors arrive in the order in which they were sent") {
  auto [a, b] = connected();
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  const UniqueFd read_end(pipe[0]);
  UniqueFd write_end(pipe[1]);
  a.send("one\n");
  a.send("two\n", write_end.get());
  a.send("three\n");
  write_end.reset();

  const auto input = b.read();
  CHECK(input.lines == std::vector<std::string>{"one", "two", "three"});
  REQUIRE(input.descriptors.size() == 1);
  CHECK_FALSE(input.has_ended);
  REQUIRE(sys::write_all(input.descriptors.front().get(), "x"));
  char byte = 0;
  CHECK(::read(read_end.get(), &byte, 1) == 1);
}

TEST_CASE("a reader that is slow gets every line once it reads") {
  auto [a, b] = connected();
  const std::string line = std::string(longest - 1, 'x') + '\n';
  constexpr std::size_t count = 2000;
  for (std::size_t i = 0; i < count; ++i) a.send(line);
  REQUIRE(a.has_unsent());
  std::size_t received = 0;
  while (received < count) {
    received += b.read().lines.size();
    a.flush();
  }
  CHECK_FALSE(a.has_unsent());
}

TEST_CASE("an end of file, and a line that is too long, end the input") {
  auto [a, b] = connected();
  SUBCASE("an end of file, after what came before") {
    a.send("last\nunfinished");
    a = std::move(connected().a);
    const auto input = b.read();
    CHECK(input.lines == std::vector<std::string>{"last"});
    CHECK(input.has_ended);
    b.send("to no process\n");
    CHECK_FALSE(b.has_unsent());
  }
  SUBCASE("a line that is too long, even if its end has not come") {
    a.send("first\n" + std::string(longest + 1, 'x'));
    const auto input = b.read();
    CHECK(input.lines == std::vector<std::string>{"first"});
    CHECK(input.has_ended);
  }
}
