/*
 * How grex-lock takes, keeps and gives back locks. README.md tells which function
 * of the source stands behind each step.
 *
 * A job is one `grex-lock run`: a wrapper, and the command that it starts. The
 * first TOP jobs are there from the beginning; the command of job j may start job
 * j + TOP, and so on, DEPTH deep. Which locks each job wants is left open: the
 * search goes through all choices.
 *
 * How much: TOP, DEPTH, LOCKS; KILLS, SIGNALS and UNLINKS, at most so many.
 * What else: FOREGROUND (a command waits for the job that it starts, else it may
 * go on without), DAEMONS (a command may leave something behind), DAEMON_STAYS
 * (which never ends), RELOCK (a nested job wants nothing but locks of the job
 * above), LIVENESS (see the end).
 * What is taken out: NO_ORDER, NO_REENTRY, NO_SORT, NO_RECHECK, NO_INHERIT,
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
#define NOBODY 255
#define PARENT(j) ((j) >= TOP -> (j) - TOP : NOBODY)

#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) >> (n)) & 1)

/* Locks are numbered in the order of (tier, canonical path). The first is a
   workspace-sync, the others are per-pack. */
#define TIER(l) ((l) == 0 -> 0 : 2)

/* Processes: the wrapper of job j, and its command. The numbers are spin's, too. */
#define WRAPPER(j) (j)
#define COMMAND(j) (JOBS + (j))

/* The lock files of a path, numbered in the order in which they were made there.
   Whoever opens a path where none is makes one: so there is at most one more than
   are removed. */
#define FILES (UNLINKS + 1)
byte named[LOCKS] = 1;         /* the file that a path names; 0: none */
byte made[LOCKS] = 1;          /* how many have been made there */
byte owner[LOCKS * FILES];     /* the job whose open file has it locked, plus 1 */
#define OWNER(l, file) owner[(l) * FILES + (file) - 1]

/* An open file description: one for each job and lock. */
byte opened[JOBS * LOCKS];     /* which file; 0: none yet */
short open_in[JOBS * LOCKS];   /* the processes that have it open */
#define OPENED(j, l) opened[(j) * LOCKS + (l)]
#define OPEN_IN(j, l) open_in[(j) * LOCKS + (l)]

byte want[JOBS];               /* locks */
byte took[JOBS];               /* locks, as the command's stack tells them */
short started, gone;           /* processes */
byte daemons;                  /* jobs whose command has left something behind */
byte signalled, waits;         /* jobs */
byte kills = KILLS, signals = SIGNALS, unlinks = UNLINKS;

/* What the program does not know: which jobs have a lock, from the recheck until
   it is given back, or until the command has ended whose wrapper was killed; and
   which of them had its file removed meanwhile, which no lock can prevent. */
byte held[LOCKS], robbed[LOCKS];

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

/* The last process that closes an open file unlocks it. */
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

/* A fork: the child has open what its parent has. */
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
  robbed[l] = robbed[l] & ~BIT(j)
}

/* Where neither the wrapper nor the command is there, nobody has the job's locks. */
inline forget_if_over(j) {
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
  forget_if_over(j)
}

/* Which entries of the stack in the environment live. */
inline verify(j, entries) {
  above = PARENT(j);
  do
  :: above != NOBODY ->
     i = 0;
     do
     :: i < LOCKS ->
        if
        :: HAS(took[above], i) && ENTRY_LIVES(above, i) ->
           /* Nobody is kept from a lock by what was held by one that is gone. */
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

/* What speaks against taking a lock below those entries. */
inline judge(j, l, entries) {
  is_reentry = false;
  is_reversed = false;
  above = PARENT(j);
  do
  :: above != NOBODY ->
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
  bool backwards, begins_again;
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
    atomic { /* each lock is judged, before any is waited for */
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
          :: atomic { HAS(signalled, j) -> waits = waits & ~BIT(j); goto give_back }
          fi
       fi;
       atomic { /* stat */
         if
         :: IS_NAMED(j, THIS) ->
            /* No two have one lock, unless its file was removed meanwhile. */
            assert((held[THIS] & ~robbed[THIS]) == 0);
            held[THIS] = held[THIS] | BIT(j);
            at++;
            GO_TO_WANTED
         :: else -> begins_again = true; goto give_back
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

give_back:
    at = LOCKS;
    do
    :: at > 0 ->
       d_step { /* unlock, close; the last one first */
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
    :: begins_again -> begins_again = false; goto take_all
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
    :: d_step { /* what it has left behind keeps all that it has open */
         gone = gone | BIT(COMMAND(j));
         daemons = daemons | BIT(j);
         forget_if_over(j)
       }
#endif
    fi
  } unless { HAS(gone, COMMAND(j)) }
#undef j
}

/* Whoever kills, sends a signal to a waiter, or removes a file: not more often
   than is said above, but maybe less often. */
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
    /* Which of them is which makes no difference. */
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
       robbed[which] = robbed[which] | held[which];
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
/* What a command has left behind ends. */
active proctype heirs() {
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
/* No waiter is lost: so many jobs come to an end, so in the end nobody waits. */
ltl served { <> [] (waits == 0) }
#endif
