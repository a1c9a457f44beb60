#pragma once

#include <curl/curl.h>

#include <string>
#include <string_view>

#include "etcd/http.hpp"

namespace grex::etcd {

/// What libcurl's code means. `text` is its own explanation, which may be empty.
HttpFault fault_of(CURLcode code, std::string_view text);

/// For people; `err` is errno of the connection, or 0.
std::string explanation_of(CURLcode code, std::string_view text, int err);

}  // namespace grex::etcd
