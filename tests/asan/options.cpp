// A failed check of UndefinedBehaviorSanitizer executes an illegal instruction: AddressSanitizer
// reports where. Without this, it leaves SIGILL alone.

extern "C" const char* __asan_default_options();

extern "C" const char* __asan_default_options() { return "handle_sigill=1"; }
