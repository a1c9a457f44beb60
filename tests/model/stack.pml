/*
 * How an entry of the tier stack is verified, and what --reentrant does then. README.md
 * lists the functions of the source that each step stands for.
 *
 * There is one lock file and one entry for it. The owner is the process that took the
 * lock, with those that keep its descriptor. The reader has the entry in its environment,
 * and wants the lock with --reentrant. Strangers take the lock whenever it is free. The
 * model leaves open how the reader is related to the owner, and when the owner ends.
 *
 * Upper limits: TIMES (locks of strangers), MISSES (reads of a list that show no holder,
 * although there is one).
 * Safeguards to remove: NO_DESCRIPTOR, NO_ANOTHER, NO_ENDED, NO_VISIBLE,
 * NO_SECOND_LOOK, NO_LAST_LOOK.
 */

#ifndef TIMES
#define TIMES 2
#endif
#ifndef MISSES
#define MISSES 0
#endif

/* Who has the lock. ENTRY: the open file that the entry stands for. */
#define FREE 0
#define ENTRY 1
#define STRANGER 2
#define READER 3
byte lock = ENTRY;

/* The process that has the entry's number. Once that is free, a stranger may get it. */
#define SAME 0
#define ZOMBIE 1
#define GONE 2
#define ANOTHER 3
byte process = SAME;

/* How the reader is related to the processes that have the entry's descriptor open. They
   wait for the reader before they release the lock, except for NONE. */
#define INHERITED 0 /* the reader itself, or an ancestor of it, has it open */
#define ASKED 1     /* no ancestor has it open, but a process that can be seen */
#define HIDDEN 2    /* no descriptor can be read; then the process lives */
#define NONE 3
byte relation;

/* What the kernel's list shows. */
#define NOTHING 0
#define ENTRYS_NUMBER 1
#define ANOTHER_NUMBER 2

/* What a look at the entry finds. */
#define PROVED 0
#define UNPROVED 1
#define STALE 2

bool complete;        /* the list never misses a lock, and the reader knows it */
byte misses = MISSES;
bool done;            /* the reader has ended */

/* What the program cannot see. inside: the commands that rely on the lock, except for
   the owner's own. entrys: the entry's lock was held when the reader last tried the lock
   or read the list. */
byte inside;
bool entrys;

inline read_list() {
  atomic {
    entrys = entrys || lock == ENTRY;
    if
    :: lock == FREE -> listed = NOTHING
    :: lock == ENTRY || (lock == STRANGER && process == ANOTHER) -> listed = ENTRYS_NUMBER
    :: lock == STRANGER && process != ANOTHER -> listed = ANOTHER_NUMBER
    :: lock != FREE && !complete && misses > 0 -> misses--; listed = NOTHING
    fi
  }
}

/* Whether a process that can be seen has the lock of the entry open. */
#define IS_VISIBLE (lock == ENTRY && relation != HIDDEN)

inline decide() {
  if
  :: listed == NOTHING && complete -> verdict = STALE
#ifndef NO_ANOTHER
  :: listed == ANOTHER_NUMBER -> verdict = STALE
  :: listed == ENTRYS_NUMBER || (listed == NOTHING && !complete) ->
#else
  :: listed != NOTHING || !complete ->
#endif
     atomic { ended = process != SAME };
     if
#ifndef NO_ENDED
     :: ended ->
#ifndef NO_VISIBLE
        atomic { verdict = (IS_VISIBLE -> UNPROVED : STALE) }
#else
        verdict = STALE
#endif
     :: !ended -> verdict = UNPROVED
#else
     :: verdict = UNPROVED
#endif
     fi
  fi
}

inline verify() {
  verdict = UNPROVED;
#ifndef NO_DESCRIPTOR
  atomic {
    if
    :: relation == INHERITED && lock == ENTRY -> verdict = PROVED
    :: else
    fi
  };
#endif
  if
  :: verdict == PROVED
  :: else ->
     read_list();
#ifdef NO_DESCRIPTOR
     verdict = (listed == ENTRYS_NUMBER -> PROVED : UNPROVED);
#endif
     tries = 0;
     do
     :: verdict == UNPROVED && listed == NOTHING && !complete && tries <= TIMES ->
        tries++;
        atomic {
          if
          :: lock == FREE -> verdict = STALE
          :: else -> entrys = lock == ENTRY
          fi
        };
#ifdef NO_SECOND_LOOK
        break
#else
        if
        :: verdict == UNPROVED -> read_list()
        :: else
        fi
#endif
     :: else ->
        if
        :: verdict == UNPROVED -> decide()
        :: else
        fi;
        break
     od
  fi
}

proctype reader() {
  byte listed, verdict, tries;
  bool ended;
  bool refused;

  verify();
  if
  :: verdict != UNPROVED
  :: else ->                       /* one try of the lock */
     atomic {
       entrys = lock == ENTRY;
       if
       :: lock == FREE -> lock = READER
       :: else
       fi
     };
     if
     :: lock == READER -> goto holds
#ifdef NO_LAST_LOOK
     :: else
#else
     :: else -> verify()           /* verdict UNPROVED: an ancestor seems to hold it */
#endif
     fi
  fi;
  if
  :: verdict == PROVED ->          /* go on without taking the lock */
     atomic { inside++; assert(inside == 1 && lock == ENTRY) };
     inside--
  :: verdict == UNPROVED ->
     refused = true;
     assert(!refused || entrys || misses < MISSES)
  :: verdict == STALE ->
     atomic { lock == FREE -> lock = READER };
holds:
     atomic { inside++; assert(inside == 1) };
     atomic { inside--; lock = FREE }
  fi;
  done = true
}

proctype owner() {
  do
  :: atomic { process == SAME && relation != HIDDEN -> process = ZOMBIE }
  :: atomic { process == ZOMBIE -> process = GONE }
  :: atomic { lock == ENTRY && (relation == NONE || done) -> lock = FREE }; break
  od;
  if
  :: atomic { process == SAME -> process = ZOMBIE }
  :: process != SAME
  fi;
  if
  :: atomic { process == ZOMBIE -> process = GONE }
  :: process != ZOMBIE
  fi
}

proctype strangers() {
  byte times = TIMES;
  do
  :: times > 0 ->
     if
     :: atomic { lock == FREE -> lock = STRANGER; times--;
          if
          :: process == GONE -> process = ANOTHER
          :: true
          fi;
          inside++; assert(inside == 1)
        };
        atomic { inside--; lock = FREE;
          if
          :: process == ANOTHER -> process = GONE
          :: else
          fi
        }
     :: break
     fi
  :: break
  od
}

init {
  atomic {
    if
    :: relation = INHERITED
    :: relation = ASKED
    :: relation = HIDDEN
    :: relation = NONE
    fi;
    if
    :: complete = true
    :: complete = false
    fi;
    run reader();
    run owner();
    run strangers()
  }
}
