/*
 * How jobs use the gates of locks of one tier: a gate keeps new sharers from overtaking an
 * exclusive waiter. README.md lists the functions of the source that each step stands for.
 *
 * A chain is a job and, if DEPTH is 2, the job that its command starts and waits for, which
 * has no stack: what its ancestor holds, it has to find out. The model leaves open which of
 * the files each job wants, in which mode, and whether it knows of gates; the search tries
 * all choices. By default, the two files are two locks, each with its gate.
 *
 * Sizes: TOP (chains), DEPTH. Upper limits: KILLS, STOPS (Ctrl-Z, and SIGSTOP), BREAKS (an
 * exclusive waiter gives up a gate for a moment).
 * Variants: TWO_FILES (the files belong to one lock, which has one gate), HIDDEN (a job may
 * be started so that it can't find out what its ancestor holds), ENDLESS (the first job wants
 * exclusive locks, and an endless number of other jobs share them), LIVENESS (see the end).
 * Safeguards to remove: NO_GATE, NO_ANCESTOR, NO_GATE_FIRST, NO_LOOK, NO_BREAK.
 */

#ifndef TOP
#define TOP 3
#endif
#ifndef DEPTH
#define DEPTH 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef BREAKS
#define BREAKS 0
#endif

#define c _pid                 /* the chain that takes a step */
#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) >> (n)) & 1)
#define NONE 255

#define FILES 2
#ifdef TWO_FILES
#define GATE(f) 0
#else
#define GATE(f) (f)
#endif

/* The lock on each file, and on each gate. */
byte exclusive;                /* the files that are locked exclusively */
byte sharers[FILES];
byte waiter[FILES];            /* the chain that has each gate exclusively, plus 1 */
byte passing[FILES];           /* how many sharers have each gate */
#define IS_FREE(f, is_shared) (!HAS(exclusive, f) && ((is_shared) || sharers[f] == 0))

/* The file at which each chain waits, plus 1. A process that is stopped waits for none. */
byte listed[TOP];
#define WAITS_FOR_LOCK(chain, g) (listed[chain] != 0 && GATE(listed[chain] - 1) == (g))

/* Whether a process in front of a gate must wait. It looks again from time to time. */
#define IS_BUSY(g, is_shared) (waiter[g] != 0 || (!(is_shared) && passing[g] != 0))
#ifdef NO_LOOK
#define MUST_WAIT(g, is_shared) IS_BUSY(g, is_shared)
#else
#define MUST_WAIT(g, is_shared) (waiter[g] != 0 && WAITS_FOR_LOCK(waiter[g] - 1, g))
#endif

/* The files that the jobs of each chain have, and those of them that they share. */
byte locked[TOP], shared[TOP]; /* the last job of a chain */
#if DEPTH > 1
byte above[TOP], above_shared[TOP]; /* the job above it */
#define ABOVE above[c]
#define ABOVE_SHARED above_shared[c]
#else
#define ABOVE 0
#define ABOVE_SHARED 0
#endif

bool first_is_served;
byte kills = KILLS, stops = STOPS, breaks = BREAKS;

hidden byte i;                 /* only within one step */

inline lock(f) {
  if
  :: HAS(shared[c], f) -> sharers[f]++
  :: else -> exclusive = exclusive | BIT(f)
  fi;
  locked[c] = locked[c] | BIT(f);
  assert(!HAS(exclusive, f) || sharers[f] == 0)
}

/* A process closes what it has open. */
inline release() {
  i = 0;
  do
  :: i < FILES ->
     if
     :: HAS(locked[c], i) && HAS(shared[c], i) -> sharers[i]--
     :: HAS(locked[c], i) && !HAS(shared[c], i) -> exclusive = exclusive & ~BIT(i)
     :: else
     fi;
     i++
  :: else -> break
  od;
  locked[c] = 0;
  shared[c] = 0;
  listed[c] = 0;
  leave_gate()
}

inline leave_gate() {
  if
  :: gate != NONE && is_passing -> passing[gate]--
  :: gate != NONE && !is_passing -> waiter[gate] = 0
  :: else
  fi;
  gate = NONE;
  is_passing = false
}

/* Without a stack, a job can lock again what its ancestor shares, or take what comes later
   in the order. Anything else is refused, or would hang without gates, too. */
#define MAY_WANT(set, exclusively) (ABOVE == 0 || \
  (((set) & ABOVE & ~ABOVE_SHARED) == 0 && ((exclusively) & ABOVE) == 0 && \
   ((set) & ~ABOVE & BIT(0)) == 0))

inline choose() {
#ifdef ENDLESS
  if
  :: c == 0 -> wanted = 1
  :: c == 0 -> wanted = 2
  :: c == 0 -> wanted = 3
  :: c > 0 -> wanted = 1; shared[c] = 1
  :: c > 0 -> wanted = 2; shared[c] = 2
  :: c > 0 -> wanted = 3; shared[c] = 3
  fi;
  uses_gates = true;
#else
  if
  :: wanted = 1
  :: wanted = 2
  :: wanted = 3
  fi;
  if
  :: shared[c] = 0
  :: shared[c] = wanted
#ifndef TWO_FILES
  :: wanted == 3 -> shared[c] = 1
  :: wanted == 3 -> shared[c] = 2
#endif
  fi;
  if
  :: uses_gates = true
  :: uses_gates = false /* flock(1) */
  fi;
#endif
#ifdef NO_GATE
  uses_gates = false;
#endif
#ifndef NO_ANCESTOR
  if
  :: ABOVE != 0 -> uses_gates = false
#ifdef HIDDEN
  :: ABOVE != 0
#endif
  :: else
  fi
#endif
}

/* flock */
inline lock_next() {
  lock(next);
  listed[c] = 0;
  has_paused = false;
  find_next();
  if
  :: gate != NONE && (next == FILES || GATE(next) != gate) -> leave_gate()
  :: else
  fi
}

/* The next file, or FILES. */
inline find_next() {
  i = 0;
  do
  :: i < FILES && !(HAS(wanted, i) && !HAS(locked[c], i)) -> i++
  :: else -> break
  od;
  next = i
}

#ifdef NO_GATE_FIRST /* the gate of a file comes directly before it */
#define MAY_ENTER true
#define HAS_PASSED (!uses_gates || at == FILES || at > next)
#else
#define MAY_ENTER (locked[c] == 0)
#define HAS_PASSED (!uses_gates || at == FILES)
#endif
#define MUST_PASS (!HAS_PASSED && HAS(wanted & shared[c], at))
#define MAY_STOP (stops > 0 && locked[c] == 0 && ABOVE == 0) /* else others wait for it anyway */

active [TOP] proctype chain() {
  byte wanted, next = NONE, gate = NONE, at;
  bool uses_gates, is_passing, has_paused;
  byte level;

#ifdef ENDLESS
start:
#endif
  atomic { choose(); d_step { find_next(); at = 0 } };

begin:
  /* A sharer passes the gates before it takes any file. */
  do
  :: atomic { HAS_PASSED -> break }
#ifdef ENDLESS
  :: atomic { MUST_PASS && !IS_BUSY(GATE(at), true) -> at++ }
#else
  :: atomic { MUST_PASS && !IS_BUSY(GATE(at), true) -> gate = GATE(at); is_passing = true; passing[gate]++ };
     if
     :: d_step { true -> leave_gate(); at++ }
     :: atomic { kills > 0 -> kills--; goto leave }
     :: atomic { MAY_STOP -> stops--; goto end_stopped }
     fi
#endif
  :: atomic { MUST_PASS && IS_BUSY(GATE(at), true) && !MUST_WAIT(GATE(at), true) -> at++ }
  :: atomic { MUST_PASS && MAY_STOP -> stops--; goto end_stopped }
  :: atomic { !HAS_PASSED && !HAS(wanted & shared[c], at) -> at++ }
  od;

take:
#define NEEDS_GATE (gate == NONE && !HAS(shared[c], next) && uses_gates)
  if
  :: d_step { IS_FREE(next, HAS(shared[c], next)) -> lock_next() }; goto took
  :: atomic { !IS_FREE(next, HAS(shared[c], next)) && !NEEDS_GATE -> listed[c] = next + 1; goto wait }
  :: atomic { !IS_FREE(next, HAS(shared[c], next)) && NEEDS_GATE && MAY_ENTER }
  :: atomic { /* with a file of the tier, it doesn't wait for the gate */
       !IS_FREE(next, HAS(shared[c], next)) && NEEDS_GATE && !MAY_ENTER ->
       if
       :: !IS_BUSY(GATE(next), false) -> gate = GATE(next); waiter[gate] = c + 1
       :: else
       fi;
       listed[c] = next + 1;
       goto wait
     }
  fi;

enter_gate:
  if
  :: atomic { !IS_BUSY(GATE(next), false) -> gate = GATE(next); waiter[gate] = c + 1 }
  :: atomic { IS_BUSY(GATE(next), false) && !MUST_WAIT(GATE(next), false) }
  :: atomic { kills > 0 -> kills--; goto leave }
  :: atomic { MAY_STOP -> stops--; goto end_stopped }
  fi;
  listed[c] = next + 1;

wait:
  if
  :: d_step { IS_FREE(next, HAS(shared[c], next)) -> lock_next() }; goto took
  :: atomic { kills > 0 -> kills--; goto leave }
  :: atomic { MAY_STOP -> stops--; listed[c] = 0; goto end_stopped }         /* SIGSTOP */
  :: atomic { MAY_STOP -> stops--; listed[c] = 0; d_step { leave_gate() }; goto end_stopped } /* Ctrl-Z */
#ifndef NO_BREAK
  /* Time passes only if nothing else happens. */
  :: atomic { timeout && gate != NONE && breaks > 0 -> breaks--; d_step { leave_gate() }; has_paused = true; goto wait }
  :: atomic { timeout && has_paused -> has_paused = false; listed[c] = 0; goto take }
#endif
  fi;

took:
  if
#ifdef NO_GATE_FIRST
  :: next < FILES -> goto begin
#else
  :: next < FILES -> goto take
#endif
  :: else
  fi;

  /* The command runs. */
  if
#if DEPTH > 1
  :: atomic { /* it starts another job */
       level == 0 ->
       level = 1;
       above[c] = locked[c];
       above_shared[c] = shared[c] & locked[c];
       locked[c] = 0;
       shared[c] = 0;
       choose();
       if
       :: MAY_WANT(wanted, wanted & ~shared[c]) -> d_step { find_next(); at = 0 }; goto begin
       :: else -> wanted = 0; shared[c] = 0
       fi
     }
#endif
  :: true
  fi;

leave:
  atomic {
    d_step {
      release();
      wanted = 0;
      next = NONE;
      has_paused = false;
      at = 0
    };
#if DEPTH > 1
    if
    :: level == 1 -> level = 0; locked[c] = above[c]; shared[c] = above_shared[c]; above[c] = 0; above_shared[c] = 0;
       d_step { release() }
    :: else
    fi;
#endif
#ifdef ENDLESS
    if
    :: c > 0 -> goto start
    :: else -> first_is_served = true
    fi
#endif
  };
  if
  :: false
  :: atomic { true -> goto end_done }
  fi;

end_stopped:
  false;

end_done:
  skip
}

#ifdef LIVENESS
/* Overlapping sharers starve no exclusive waiter. */
ltl served { <> (first_is_served) }
#endif
