#pragma once

#include <functional>
#include <utility>

namespace grex::etcd {

/// Calls a copy of a function, because the call may destroy the object that owns it. So it must
/// be the last thing that a member function of that object does; what is passed must not belong
/// to it either.
template <class... Parameters, class... Arguments>
void call_last(const std::function<void(Parameters...)>& function, Arguments&&... arguments) {
  const std::function<void(Parameters...)> copy = function;
  copy(std::forward<Arguments>(arguments)...);
}

}  // namespace grex::etcd
