#pragma once

namespace grex::sys {

/// Makes this process independent of the one that started it, whose descriptors up to `last` it
/// keeps: it leads a session of its own, so that no terminal stops or ends it; it ignores the
/// signals by which people and supervisors end processes, because its work ends with that of
/// others; it has no file system in use but the root directory; its standard streams are
/// unusable, so that no process waits for their end; and other processes of the user can't read
/// its memory (PR_SET_DUMPABLE in prctl(2)). SIGKILL and SIGSTOP work.
void become_independent(int last);

/// Whether a descriptor that this process inherited is a stream socket.
bool is_stream_socket(int fd);

}  // namespace grex::sys
