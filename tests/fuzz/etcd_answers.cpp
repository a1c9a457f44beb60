// What an etcd server, or something between it and the keeper, sends.

#include "etcd/base64.hpp"
#include "etcd/messages.hpp"
#include "fuzz.hpp"

using namespace grex;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto token = etcd::parse_token(text);
  require(!token || token->find_first_of("\r\n") == std::string::npos);
  const auto granted = etcd::parse_granted(text);
  require(!granted || (granted->lease != 0 && granted->ttl.count() > 0));
  const auto created = etcd::parse_created(text);
  const auto range = etcd::parse_range(text);
  require(!created || !range || created->header.revision == range->header.revision);
  const auto error = etcd::parse_error(text);
  require(!error || (error->code >= 0 && error->code <= 16));
  (void)etcd::parse_version(text);
  (void)etcd::parse_renewed(text);
  (void)etcd::parse_lease_time(text);
  (void)etcd::parse_read_all(text);
  (void)etcd::parse_changed(text);
  (void)etcd::parse_watch_message(text);
  (void)etcd::slots_in(text);
  require(etcd::has_break_mark(etcd::with_break_mark(text)));
  require(etcd::from_base64(etcd::to_base64(text)) == text);
  const auto bytes = etcd::from_base64(text);
  require(!bytes || etcd::to_base64(*bytes) == text);
  return 0;
}
