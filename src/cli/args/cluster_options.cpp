#include "cli/args/cluster_options.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <string_view>
#include <utility>

#include "cli/args/option_values.hpp"
#include "cli/args/parser.hpp"
#include "core/cluster/cluster_url.hpp"
#include "core/cluster/lock_name.hpp"
#include "sys/file/file.hpp"

namespace grex::cli {
namespace {

constexpr const char* url_variable = "GREX_LOCK_CLUSTER";
constexpr const char* root_variable = "GREX_LOCK_CLUSTER_ROOT";
constexpr const char* lease_variable = "GREX_LOCK_LEASE";
constexpr std::chrono::seconds default_lease(30);

// The variable's value; nullptr if it is unset or empty.
const char* value_of(const char* variable) {
  const char* const text = ::getenv(variable);
  return text == nullptr || *text == '\0' ? nullptr : text;
}

// A value, and the option or variable that has set it.
struct Chosen {
  std::string value;
  std::string_view by;
};

std::optional<Chosen> choose(const std::optional<std::string>& option, std::string_view name, const char* variable) {
  if (option) return Chosen{*option, name};
  const char* const text = value_of(variable);
  return text == nullptr ? std::nullopt : std::optional(Chosen{text, variable});
}

Failure url_failure(const Chosen& url, core::UrlFault fault) {
  return usage_failure(fmt::format("{}: '{}': {}", url.by, url.value, core::explanation_of(fault)),
                       "for example etcds://etcd1,etcd2,etcd3/ci, or none");
}

// A password would be readable on the way.
bool shows_password(const core::ClusterUrl& url) {
  const bool has_password = value_of("ETCDCTL_USER") != nullptr || value_of("ETCDCTL_PASSWORD") != nullptr;
  return !url.has_tls && !core::is_local(url) && has_password;
}

Result<std::string, Failure> canonical_root(const Chosen& root) {
  auto directory = sys::open_directory(root.value);
  if (directory) return std::move(directory->path);
  Failure failure = failure_from(directory.error());
  failure.hint = fmt::format("{} names the directory below which every machine has the same packs", root.by);
  return failure;
}

Result<std::chrono::milliseconds, Failure> choose_lease(const ClusterOptions& options) {
  std::optional<std::chrono::nanoseconds> lease = options.lease;
  if (const char* const text = lease ? nullptr : value_of(lease_variable); text != nullptr) {
    lease = lease_syntax.parse(text);
    if (!lease) {
      SyntaxError error = syntax_error(text, lease_syntax.text);
      return usage_failure(fmt::format("{}: {}", lease_variable, error.why), std::move(error.hint));
    }
  }
  return std::chrono::ceil<std::chrono::milliseconds>(lease.value_or(default_lease));
}

std::string refuse_bad_name(const std::string& name) {
  const auto checked = core::check_lock_name(name);
  if (checked) return {};
  throw UsageError(fmt::format("--name: {}", core::explanation_of(checked.error())), name.empty() ? unset_hint : "");
}

std::chrono::nanoseconds lease_in(const std::string& text) {
  const auto lease = lease_syntax.parse(text);
  if (lease) return *lease;
  SyntaxError error = syntax_error(text, lease_syntax.text);
  throw UsageError("--lease: " + error.why, std::move(error.hint));
}

// An option that has no effect without a cluster; empty if there is none.
std::string_view option_of_cluster(const ClusterOptions& options) {
  if (options.name) return "--name";
  if (options.root) return "--cluster-root";
  return options.lease ? "--lease" : "";
}

Result<void, Failure> refuse_without_cluster(const ClusterOptions& options) {
  const std::string_view option = option_of_cluster(options);
  if (option.empty()) return {};
  if (options.url) {
    return usage_failure(fmt::format("{} has no effect with --cluster none", option),
                         options.name ? "on this machine, a PATH names the lock" : "omit it");
  }
  return usage_failure(fmt::format("{} has no effect without a cluster", option),
                       fmt::format("add --cluster URL, or set {}", url_variable));
}

}  // namespace

void add_cluster_options(Parser& parser, ClusterOptions& options, WithLease with_lease) {
  parser.begin_group("Across machines");
  add_cluster_option(parser, options);
  parser.add_option("--name", options.name, "the lock's name in the cluster")
      ->check(refuse_bad_name)
      ->type_name("NAME");
  parser.add_option("--cluster-root", options.root, "name locks by their PATHs relative to DIR")
      ->take_last()
      ->type_name("DIR");
  if (with_lease == WithLease::no) return;
  parser
      .add_option_function<std::string>(
          "--lease", [&options](const std::string& text) { options.lease = lease_in(text); },
          "lifetime of a lost machine's locks (default: 30s)")
      ->take_last()
      ->type_name("DURATION");
}

void add_cluster_option(Parser& parser, ClusterOptions& options) {
  parser.add_option("--cluster", options.url, "lock in etcd, too: etcds://HOST/NAMESPACE, or none")
      ->take_last()
      ->type_name("URL");
}

Result<std::optional<ChosenCluster>, Failure> choose_cluster(const ClusterOptions& options) {
  const auto url_text = choose(options.url, "--cluster", url_variable);
  auto url = url_text ? core::parse_cluster_url(url_text->value) : std::optional<core::ClusterUrl>();
  if (!url) return url_failure(*url_text, url.error());
  if (!*url) {
    if (auto refused = refuse_without_cluster(options); !refused) return std::move(refused.error());
    return std::optional<ChosenCluster>();
  }
  if (shows_password(**url)) {
    return usage_failure(fmt::format("{}: a password would be sent without encryption", url_text->by),
                         "use etcds:// with TLS");
  }
  const auto lease = choose_lease(options);
  if (!lease) return lease.error();
  ChosenCluster cluster = {{core::to_text(**url), core::endpoints_of(**url), (*url)->ns, *lease}, {}};
  if (const auto root = choose(options.root, "--cluster-root", root_variable)) {
    auto canonical = canonical_root(*root);
    if (!canonical) return std::move(canonical.error());
    cluster.root = std::move(*canonical);
  }
  return std::optional(std::move(cluster));
}

std::string or_name(std::string hint, const ClusterOptions& options) {
  const auto url = choose(options.url, {}, url_variable);
  if (!url || url->value == "none") return hint;
  return std::move(hint) + "; or use --name NAME for a lock of the cluster alone";
}

Result<void, Failure> refuse_cluster(const ClusterOptions& options, std::string_view what) {
  const auto chosen = choose_cluster(options);
  if (!chosen) return chosen.error();
  if (!*chosen) return {};
  std::string hint = "to lock on this machine only: --cluster none";
  if (options.name) {
    hint += ", and a PATH instead of --name";
  } else if (const std::string_view option = option_of_cluster(options); !option.empty()) {
    hint += fmt::format(", without {}", option);
  }
  return usage_failure(fmt::format("{} can't be used with a cluster", what), std::move(hint));
}

}  // namespace grex::cli
