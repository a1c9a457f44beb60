/*
 * How grex-lock takes, keeps and releases locks. README.md lists the functions of
 * the source that each step stands for.
 *
 * A job is one `grex-lock run`: a wrapper, and the command that it starts. The
 * first TOP jobs exist from the beginning. The command of job j may start job
 * j + TOP, and so on, DEPTH deep. The model leaves open which locks each job
 * wants: the search tries all choices.
 *
 * Sizes: TOP, DEPTH, LOCKS. Upper limits: KILLS, SIGNALS, UNLINKS.
 * Variants: FOREGROUND (a command waits for the job that it starts, otherwise it
 * may also continue without waiting), DAEMONS (a command may leave processes
 * behind), DAEMON_STAYS (these never end), RELOCK (a nested job only wants locks
 * of the job above it), LIVENESS (see the end).
 * Safeguards to remove: NO_ORDER, NO_REENTRY, NO_SORT, NO_RECHECK, NO_INHERIT,
 * NO_UNLOCK, NO_VERIFY.
 */

#ifndef TOP
#define TOP 2
#endif
#ifndef DEPTH
#define DEPTH 1
#endif
#ifndef LOCKS
#define LOCKS 2
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef SIGNALS
#define SIGNALS 0
#endif
#ifndef UNLINKS
#define UNLINKS 0
#endif

#define JOBS (TOP * DEPTH)
#define NONE 255
#define PARENT(j) ((j) >= TOP -> (j) - TOP : NONE)

#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) >> (n)) & 1)

/* Locks are numbered in the order of (tier, canonical path). The first is a
   workspace-sync lock, the others are per-pack locks. */
#define TIER(l) ((l) == 0 -> 0 : 2)

/* Processes: the wrapper of job j, and its command. Spin uses the same numbers. */
#define WRAPPER(j) (j)
#define COMMAND(j) (JOBS + (j))

/* The lock files of a path, in the order in which they were created. Opening a path
   without a file creates one, so there is at most one more than are removed. */
#define FILES (UNLINKS + 1)
byte named[LOCKS] = 1;         /* the file that a path names; 0: none */
byte made[LOCKS] = 1;          /* how many have been created there */
byte owner[LOCKS * FILES];     /* the job whose open file has it locked, plus 1 */
#define OWNER(l, file) owner[(l) * FILES + (file) - 1]

/* An open file description: one for each job and lock. */
byte opened[JOBS * LOCKS];     /* which file; 0: none yet */
short open_in[JOBS * LOCKS];   /* the processes that have it open */
#define OPENED(j, l) opened[(j) * LOCKS + (l)]
#define OPEN_IN(j, l) open_in[(j) * LOCKS + (l)]

byte want[JOBS];               /* locks */
byte took[JOBS];               /* locks, as the command's stack lists them */
short started, gone;           /* processes */
byte daemons;                  /* jobs whose command has left processes behind */
byte signalled, waits;         /* jobs */
byte kills = KILLS, signals = SIGNALS, unlinks = UNLINKS;

/* What the program cannot see. held: the jobs that have a lock, from the recheck
   until they release it or, if the wrapper was killed, until the command has ended.
   lost: those of them whose lock file was removed, which no lock can prevent. */
byte held[LOCKS], lost[LOCKS];

hidden byte i, k, above;       /* only within one step */

#ifdef NO_RECHECK
#define IS_NAMED(j, l) true
#else
#define IS_NAMED(j, l) (OPENED(j, l) == named[l])
#endif
#define IS_FREE(j, l) (OWNER(l, OPENED(j, l)) == 0)
#define IS_OWNED_BY(j, l) (OPENED(j, l) && OWNER(l, OPENED(j, l)) == (j) + 1)
#define LOCK(j, l) OWNER(l, OPENED(j, l)) = (j) + 1

#ifdef NO_VERIFY
#define ENTRY_LIVES(j, l) true
#else
#define ENTRY_LIVES(j, l) (!IS_FREE(j, l) && (IS_OWNED_BY(j, l) || !HAS(gone, WRAPPER(j))))
#endif

inline unlock(j, l) {
  if
  :: IS_OWNED_BY(j, l) -> OWNER(l, OPENED(j, l)) = 0
  :: else
  fi
}

/* When the last process closes an open file, that unlocks it. */
inline close(process, j, l) {
  OPEN_IN(j, l) = OPEN_IN(j, l) & ~BIT(process);
  if
  :: OPEN_IN(j, l) == 0 -> unlock(j, l)
  :: else
  fi
}

inline close_all(process) {
  i = 0;
  do
  :: i < JOBS ->
     k = 0;
     do
     :: k < LOCKS -> close(process, i, k); k++
     :: else -> break
     od;
     i++
  :: else -> break
  od
}

/* A fork: the child inherits the open files of its parent. */
inline inherit(parent, child) {
  i = 0;
  do
  :: i < JOBS * LOCKS ->
     if
     :: HAS(open_in[i], parent) -> open_in[i] = open_in[i] | BIT(child)
     :: else
     fi;
     i++
  :: else -> break
  od
}

inline forget(j, l) {
  held[l] = held[l] & ~BIT(j);
  lost[l] = lost[l] & ~BIT(j)
}

/* If neither the wrapper nor the command runs, no process has the job's locks. */
inline forget_if_gone(j) {
  if
  :: HAS(gone, WRAPPER(j)) && (!HAS(started, COMMAND(j)) || HAS(gone, COMMAND(j))) ->
     i = 0;
     do
     :: i < LOCKS -> forget(j, i); i++
     :: else -> break
     od
  :: else
  fi
}

inline end_process(process, j) {
  gone = gone | BIT(process);
  close_all(process);
  if
  :: process == WRAPPER(j) -> waits = waits & ~BIT(j)
  :: else
  fi;
  forget_if_gone(j)
}

/* Finds the entries of the stack in the environment that are live. */
inline verify(j, entries) {
  above = PARENT(j);
  do
  :: above != NONE ->
     i = 0;
     do
     :: i < LOCKS ->
        if
        :: HAS(took[above], i) && ENTRY_LIVES(above, i) ->
           /* The entry of a wrapper that is gone counts only if its lock is held. */
           assert(IS_OWNED_BY(above, i) || !HAS(gone, WRAPPER(above)));
           entries = entries | BIT(above * LOCKS + i)
        :: HAS(took[above], i) && !ENTRY_LIVES(above, i) ->
           assert(!IS_OWNED_BY(above, i))
        :: else
        fi;
        i++
     :: else -> break
     od;
     above = PARENT(above)
  :: else -> break
  od
}

/* Finds reasons against taking a lock below those entries. */
inline judge(j, l, entries) {
  is_reentry = false;
  is_reversed = false;
  above = PARENT(j);
  do
  :: above != NONE ->
     i = 0;
     do
     :: i < LOCKS ->
        if
        :: HAS(entries, above * LOCKS + i) ->
#ifndef NO_REENTRY
           is_reentry = is_reentry || (i == l && OPENED(above, i) == named[l]);
#endif
#ifndef NO_ORDER
           is_reversed = is_reversed || TIER(l) <= TIER(i);
#endif
           skip
        :: else
        fi;
        i++
     :: else -> break
     od;
     above = PARENT(above)
  :: else -> break
  od
}

active [JOBS] proctype wrapper() {
#define j _pid
  byte at;            /* how many of the locks have been dealt with */
  short entries;
  bool is_reentry, is_reversed;
  bool backwards, starts_over;
#ifdef NO_SORT
#define THIS (backwards -> LOCKS - 1 - at : at)
#else
#define THIS at
#endif
#define GO_TO_WANTED do :: at < LOCKS && !HAS(want[j], THIS) -> at++ :: else -> break od
end:
  HAS(started, WRAPPER(j));
  {
    d_step { verify(j, entries) };
    atomic { /* judge every lock before waiting for any */
      do
      :: at < LOCKS && HAS(want[j], at) ->
         d_step { judge(j, at, entries) };
         if
         :: is_reentry || is_reversed -> goto done        /* 75, 76 */
         :: is_reentry -> want[j] = want[j] & ~BIT(at)    /* --reentrant */
         :: !is_reentry && !is_reversed
         fi;
         at++
      :: at < LOCKS && !HAS(want[j], at) -> at++
      :: else -> break
      od;
      entries = 0;
      is_reentry = false;
#ifdef NO_SORT
      if
      :: backwards = true
      :: true
      fi;
#endif
      at = 0
    };

take_all:
    atomic { GO_TO_WANTED };
    do
    :: at < LOCKS ->
       d_step { /* open */
         if
         :: named[THIS] == 0 -> made[THIS]++; named[THIS] = made[THIS]
         :: else
         fi;
         OPENED(j, THIS) = named[THIS];
         OPEN_IN(j, THIS) = OPEN_IN(j, THIS) | BIT(WRAPPER(j))
       };
       if /* flock, at first without waiting */
       :: atomic { IS_FREE(j, THIS) -> LOCK(j, THIS) }
       :: atomic { !IS_FREE(j, THIS) -> waits = waits | BIT(j) };
          if
          :: atomic { IS_FREE(j, THIS) -> LOCK(j, THIS); waits = waits & ~BIT(j) }
          :: atomic { HAS(signalled, j) -> waits = waits & ~BIT(j); goto release_locks }
          fi
       fi;
       atomic { /* stat */
         if
         :: IS_NAMED(j, THIS) ->
            /* No two jobs have the same lock, unless its file was removed. */
            assert((held[THIS] & ~lost[THIS]) == 0);
            held[THIS] = held[THIS] | BIT(j);
            at++;
            GO_TO_WANTED
         :: else -> starts_over = true; goto release_locks
         fi
       }
    :: else -> break
    od;

    atomic { /* fork */
      at = 0;
      d_step {
        do
        :: at < LOCKS -> assert(!HAS(want[j], at) || HAS(held[at], j)); at++
        :: else -> break
        od;
        took[j] = want[j];
        want[j] = 0;
#ifndef NO_INHERIT
        inherit(WRAPPER(j), COMMAND(j));
#endif
        started = started | BIT(COMMAND(j))
      }
    };
    HAS(gone, COMMAND(j)); /* wait */

release_locks:
    at = LOCKS;
    do
    :: at > 0 ->
       d_step { /* unlock and close, the last lock first */
         do
         :: at > 0 && !HAS(OPEN_IN(j, at - 1), WRAPPER(j)) -> at--
         :: else -> break
         od;
         if
         :: at > 0 ->
            at--;
#ifndef NO_UNLOCK
            unlock(j, at);
#endif
            forget(j, at);
            close(WRAPPER(j), j, at)
         :: else
         fi
       }
    :: else -> break
    od;
    if
    :: starts_over -> starts_over = false; goto take_all
    :: else
    fi;
done:
    atomic {
      at = 0;
      d_step {
        entries = 0;
        is_reentry = false;
        is_reversed = false;
        end_process(WRAPPER(j), j)
      }
    }
  } unless { HAS(gone, WRAPPER(j)) }
#undef j
}

active [JOBS] proctype command() {
#define j (_pid - JOBS)
  bool is_background;
end:
  HAS(started, COMMAND(j));
  {
#if DEPTH > 1
    if
    :: j + TOP < JOBS ->
       atomic {
#ifndef FOREGROUND
         if
         :: is_background = true
         :: true
         fi;
#endif
         inherit(COMMAND(j), WRAPPER(j + TOP));
         started = started | BIT(WRAPPER(j + TOP))
       };
       is_background || HAS(gone, WRAPPER(j + TOP))
    :: true
    fi;
#endif
    if
    :: d_step { end_process(COMMAND(j), j) }
#ifdef DAEMONS
    :: d_step { /* the remaining processes keep its files open */
         gone = gone | BIT(COMMAND(j));
         daemons = daemons | BIT(j);
         forget_if_gone(j)
       }
#endif
    fi
  } unless { HAS(gone, COMMAND(j)) }
#undef j
}

/* The world kills processes, sends signals to waiters, and removes files: at most as
   often as KILLS, SIGNALS and UNLINKS say, but possibly less often. */
active proctype world() {
  byte which;
  atomic {
    do
    :: which < JOBS ->
       want[which] = 1;
       do
       :: want[which] < BIT(LOCKS) - 1 -> want[which]++
       :: break
       od;
#ifdef RELOCK
       want[which] = (which >= TOP -> want[which] & want[which - TOP] : want[which]);
#endif
       which++
    :: else -> break
    od;
    which = 0;
    /* Swapping two jobs makes no difference. */
    if
    :: want[0] <= want[1] -> started = BIT(TOP) - 1
    :: else
    fi
  };
end:
  do
#if KILLS
#define CHOOSE_KILLED(n) :: HAS(started & ~gone, n) -> which = n
  :: atomic {
       kills > 0 && (started & ~gone) != 0 ->
       if
       CHOOSE_KILLED(0)
       CHOOSE_KILLED(1)
       CHOOSE_KILLED(2)
       CHOOSE_KILLED(3)
       CHOOSE_KILLED(4)
       CHOOSE_KILLED(5)
       CHOOSE_KILLED(6)
       CHOOSE_KILLED(7)
       fi;
       d_step {
         kills--;
         end_process(which, which % JOBS);
         which = 0
       }
     }
  :: kills > 0 -> kills = 0
#endif
#if SIGNALS
#define CHOOSE_SIGNALLED(n) :: HAS(waits & ~signalled, n) -> which = n
  :: atomic {
       signals > 0 && (waits & ~signalled) != 0 ->
       if
       CHOOSE_SIGNALLED(0)
       CHOOSE_SIGNALLED(1)
       CHOOSE_SIGNALLED(2)
       CHOOSE_SIGNALLED(3)
       fi;
       signals--;
       signalled = signalled | BIT(which);
       which = 0
     }
  :: signals > 0 -> signals = 0
#endif
#if UNLINKS
  :: atomic {
       unlinks > 0 && (named[0] || named[LOCKS - 1]) ->
       if
       :: named[0] -> which = 0
       :: named[LOCKS - 1] -> which = LOCKS - 1
       fi;
       unlinks--;
       named[which] = 0;
       lost[which] = lost[which] | held[which];
       which = 0
     }
  :: unlinks > 0 -> unlinks = 0
#endif
#ifdef LIVENESS
  :: which = 0 /* nothing happens any more */
#endif
  :: false
  od
}

#if defined(DAEMONS) && !defined(DAEMON_STAYS)
/* The processes that a command has left behind end. */
active proctype remaining_processes() {
  byte which;
end:
  do
  :: d_step {
       daemons ->
       do
       :: !HAS(daemons, which) -> which++
       :: else -> break
       od;
       daemons = daemons & ~BIT(which);
       close_all(COMMAND(which));
       which = 0
     }
  od
}
#endif

#ifdef LIVENESS
/* No waiter is lost: the number of jobs is limited, so in the end no job waits. */
ltl served { <> [] (waits == 0) }
#endif
