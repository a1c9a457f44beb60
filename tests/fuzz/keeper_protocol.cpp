// The lines between grex-lock and its keeper.

#include "core/cluster/keeper_protocol.hpp"

#include "fuzz.hpp"

using namespace grex;
using fuzz::require;

namespace {

template <class Message, class Parse>
void check(std::string_view text, Parse parse) {
  const std::optional<Message> message = parse(text);
  if (!message) return;
  const std::string line = core::to_line(*message);
  require(line.find('\n') == line.size() - 1);
  if (!core::fits_keeper_line(line)) return;
  const auto again = parse(line);
  require(again && core::to_line(*again) == line);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  check<core::KeeperRequest>(text, core::parse_keeper_request);
  check<core::KeeperReport>(text, core::parse_keeper_report);
  (void)core::protocol_of(text);
  return 0;
}
