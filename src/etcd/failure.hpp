#pragma once

#include <optional>
#include <string>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/credentials.hpp"
#include "etcd/http.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {

/// What to make of an answer.
enum class Verdict {
  good,
  refused,        ///< a definite error of etcd, which the caller may expect
  failed,         ///< definite; no other attempt will help
  try_elsewhere,  ///< another server, or this one later, may answer
  new_token,      ///< the token is not accepted any more
};

struct Judgement {
  Verdict verdict = Verdict::good;
  GatewayError error;          ///< for `refused`
  core::FailedReport failure;  ///< for `failed` and `try_elsewhere`: kind, why and hint
};

/// Why these can't be used, as far as can be seen before a server is asked; nullopt if they can.
std::optional<core::FailedReport> credentials_failure(const Credentials& credentials);

/// Judges what a server has answered to a request.
Judgement judge(const HttpAnswer& answer, const Credentials& credentials);

}  // namespace grex::etcd
