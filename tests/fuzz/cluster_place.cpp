// The URL of a cluster, and the names of its locks.

#include <algorithm>

#include "core/cluster/cluster_url.hpp"
#include "core/cluster/lock_name.hpp"
#include "core/cluster/percent.hpp"
#include "etcd/key.hpp"
#include "fuzz.hpp"

using namespace grex;
using fuzz::require;

namespace {

void check_url(std::string_view text) {
  const auto url = core::parse_cluster_url(text);
  if (!url) return require(!core::explanation_of(url.error()).empty());
  if (!*url) return require(text == "none");
  require(!(*url)->hosts.empty() && !(*url)->ns.empty());
  const std::string shown = core::to_text(**url);
  const auto again = core::parse_cluster_url(shown);
  require(again && *again && core::to_text(**again) == shown);
  require(core::endpoints_of(**again) == core::endpoints_of(**url));
  for (const std::string& endpoint : core::endpoints_of(**url)) {
    require(endpoint.starts_with("http") && endpoint.find_first_of(" @?#\\%\n") == std::string::npos);
  }
}

void check_name(std::string_view text) {
  if (!core::check_lock_name(text)) return;
  const std::string encoded = core::percent_encoded(text);
  require(encoded.find('/') == std::string::npos && core::percent_decoded(encoded) == text);
  const auto named = core::lock_name_of("/w/" + std::string(text), "/w");
  require(named && *named == text);
  const etcd::LockKey key = {"ci", core::Tier::backend, std::string(text), sys::Mode::shared, text.size()};
  const auto parsed = etcd::parse_key(etcd::to_text(key));
  require(parsed && parsed->name == text && parsed->lease == text.size());
  const std::string prefix = etcd::lock_prefix("ci", core::Tier::backend, text);
  require(etcd::to_text(key) > prefix && etcd::to_text(key) < etcd::range_end(prefix));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  check_url(text);
  check_name(text);
  const auto key = etcd::parse_key(text);
  require(!key || etcd::to_text(*key) == text);
  const auto decoded = core::percent_decoded(text);
  require(!decoded || core::percent_encoded(*decoded) == text);
  return 0;
}
