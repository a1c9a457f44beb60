/*
 * How jobs wait for one of several slots: in a queue. The first job in the queue
 * waits for all slots at the same time, with a thread for each. README.md lists the
 * functions of the source that each step stands for.
 *
 * Sizes: JOBS, SLOTS. Upper limits: KILLS, SIGNALS, STOPS (Ctrl-Z), UNLINKS (of the
 * queue file).
 * Variants: HOLDER (a process outside of the model holds one slot forever),
 * STOP_EARLY (a stop may also come before it is deferred), LIVENESS (see the end).
 * Safeguards to remove: NO_QUEUE, ONE_SLOT, SEND_ONCE, KEEP_BOTH, KEEP_PLACE.
 */

#ifndef JOBS
#define JOBS 3
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef SIGNALS
#define SIGNALS 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef UNLINKS
#define UNLINKS 0
#endif

#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) >> (n)) & 1)
#define ADD(set, n) set = set | BIT(n)
#define DROP(set, n) set = set & ~BIT(n)

#define OUTSIDER 255
byte slot[SLOTS];              /* the job that has it locked, plus 1 */

/* The queue file: jobs queue for its lock. If it was removed, the next job creates
   another. */
#define FILES (UNLINKS + 1)
byte named = 1, made = 1;      /* 0: none */
byte owner[FILES];             /* the job that has it locked, plus 1 */
byte opened[JOBS];             /* 0: not open */
#define QUEUE(j) owner[opened[j] - 1]

byte waits;                    /* jobs that want a slot, and have none yet */
byte at_slots;                 /* jobs that wait for the slots, not for the queue file */
byte gone, signalled, stopped; /* jobs */
byte commands;                 /* jobs whose command runs */

/* The threads of a wait. */
byte winner[JOBS];             /* the lock that is held, plus 1 */
byte over;                     /* jobs whose threads must give up */
short running, blocked, interrupted; /* threads */
#define THREAD(j, i) ((j) * SLOTS + (i))
#define THREADS_OF(j) ((BIT(SLOTS) - 1) << ((j) * SLOTS))

byte kills = KILLS, signals = SIGNALS, stops = STOPS, unlinks = UNLINKS;

hidden byte i;                 /* only within one step */

inline close_queue(j) {
  if
  :: opened[j] && QUEUE(j) == j + 1 -> QUEUE(j) = 0
  :: else
  fi;
  opened[j] = 0
}

inline unlock_all(j) {
  i = 0;
  do
  :: i < SLOTS ->
     if
     :: slot[i] == j + 1 -> slot[i] = 0
     :: else
     fi;
     i++
  :: else -> break
  od
}

/* The process ends, and its threads with it. */
inline end_process(j) {
  ADD(gone, j);
  DROP(waits, j);
  DROP(at_slots, j);
  DROP(signalled, j);
  DROP(stopped, j);
  DROP(over, j);
  running = running & ~THREADS_OF(j);
  blocked = blocked & ~THREADS_OF(j);
  interrupted = interrupted & ~THREADS_OF(j);
  winner[j] = 0;
  close_queue(j);
  if
  :: !HAS(commands, j) -> unlock_all(j)
  :: else /* its command has the slot file open */
  fi
}

#define IS_ONE(set) ((set) != 0 && ((set) & ((set) - 1)) == 0)

active [JOBS] proctype wrapper() {
#define j _pid
  byte at;
  byte outcome;
#define HELD 0
#define CANCELLED 1
#define TIMED_OUT 2
#define SUSPENDED 3
  {
    do /* try each slot once */
    :: at < SLOTS ->
       if
       :: atomic { slot[at] == 0 -> slot[at] = j + 1; winner[j] = at + 1; at = 0; goto held }
       :: atomic { slot[at] != 0 -> at++ }
       fi
    :: else -> break
    od;
    atomic { at = 0; ADD(waits, j) };

enter_queue:
#ifndef NO_QUEUE
    atomic { /* open */
      if
      :: named == 0 -> made++; named = made
      :: else
      fi;
      opened[j] = named
    };
    if /* flock */
    :: atomic { QUEUE(j) == 0 -> QUEUE(j) = j + 1 }
    :: atomic { HAS(signalled, j) -> outcome = CANCELLED; goto leave }
    fi;
#ifdef STOP_EARLY
    if
    :: atomic { stops > 0 -> stops--; DROP(waits, j); goto end_stopped }
    :: true
    fi;
#endif
#endif
    atomic {
      ADD(at_slots, j);
      /* Only the first job in the queue waits for the slots, unless the queue file
         was removed, and another queue began. */
      assert(IS_ONE(at_slots) || made > 1);
      outcome = HELD
    };
    /* start the threads */
#ifdef ONE_SLOT
    ADD(running, THREAD(j, 0));
#else
    running = running | THREADS_OF(j);
#endif
    if /* wait for an event */
    :: winner[j] -> outcome = HELD
    :: HAS(signalled, j) -> outcome = CANCELLED
    :: HAS(signalled, j) -> outcome = TIMED_OUT
#ifdef KEEP_PLACE
    :: atomic { HAS(stopped, j) -> DROP(waits, j); goto end_stopped }
#else
    :: HAS(stopped, j) -> outcome = SUSPENDED
#endif
    fi;
    atomic { /* interrupt the threads until they are gone */
      ADD(over, j);
      interrupted = interrupted | (blocked & THREADS_OF(j))
    };
    do
    :: (running & THREADS_OF(j)) == 0 -> break
#ifndef SEND_ONCE
    :: atomic {
         (blocked & ~interrupted & THREADS_OF(j)) != 0 ->
         interrupted = interrupted | (blocked & THREADS_OF(j))
       }
#endif
    od;
    atomic {
      DROP(over, j);
      DROP(at_slots, j);
      if
      :: winner[j] && (outcome == HELD || outcome == TIMED_OUT) -> outcome = HELD
      :: winner[j] && outcome != HELD && outcome != TIMED_OUT -> slot[winner[j] - 1] = 0; winner[j] = 0
      :: else
      fi
    };

leave:
    atomic {
      close_queue(j);
      if
      :: outcome == HELD -> DROP(waits, j); goto held
      :: outcome == CANCELLED || outcome == TIMED_OUT -> goto done
      :: outcome == SUSPENDED -> DROP(stopped, j); outcome = HELD
      fi
    };
    if
    :: goto enter_queue /* continued */
    :: atomic { DROP(waits, j); goto end_stopped }
    fi;

held:
    atomic {
      do
      :: at < SLOTS -> assert((slot[at] == j + 1) == (at + 1 == winner[j])); at++
      :: else -> break
      od;
      at = winner[j] - 1;
      winner[j] = 0;
      ADD(commands, j)
    };
    atomic { /* the command has ended; unlock */
      assert(slot[at] == j + 1);
      slot[at] = 0;
      DROP(commands, j)
    };

done:
    atomic {
      outcome = HELD;
      at = 0;
      d_step { end_process(j) };
      goto ended
    };

end_stopped:
    false;

ended:
    skip
  } unless { HAS(gone, j) }
#undef j
}

active [JOBS * SLOTS] proctype thread() {
#define SELF (_pid - JOBS)
#define JOB (SELF / SLOTS)
#define INDEX (SELF % SLOTS)
end:
  do
  :: HAS(running, SELF) ->
     {
       do
       :: HAS(over, JOB) -> break
       :: !HAS(over, JOB) ->
          if /* flock */
          :: atomic { slot[INDEX] == 0 -> slot[INDEX] = JOB + 1; goto locked }
          :: atomic { slot[INDEX] != 0 -> ADD(blocked, SELF) };
             if
             :: atomic { slot[INDEX] == 0 ->
                  slot[INDEX] = JOB + 1;
                  DROP(blocked, SELF);
                  DROP(interrupted, SELF);
                  goto locked
                }
             :: atomic { HAS(interrupted, SELF) -> DROP(blocked, SELF); DROP(interrupted, SELF) }
             fi
          fi
       od;
       goto last;
locked:
       if
       :: atomic { winner[JOB] == 0 -> winner[JOB] = INDEX + 1 }
       :: winner[JOB] != 0 ->
#ifndef KEEP_BOTH
          slot[INDEX] = 0
#endif
       fi;
last:
       DROP(running, SELF)
     } unless { !HAS(running, SELF) }
  od
}

/* The world kills, signals and stops jobs, and removes the queue file: at most as
   often as KILLS, SIGNALS, STOPS and UNLINKS say, but possibly less often. */
active proctype world() {
  byte which;
#ifdef HOLDER
  if
  :: atomic { slot[0] == 0 -> slot[0] = OUTSIDER }
  :: atomic { slot[SLOTS - 1] == 0 -> slot[SLOTS - 1] = OUTSIDER }
  fi;
#endif
#define CHOOSE(set) \
  if \
  :: HAS(set, 0) -> which = 0 \
  :: HAS(set, 1) -> which = 1 \
  :: HAS(set, 2) -> which = 2 \
  :: HAS(set, 3) -> which = 3 \
  fi
end:
  do
#if KILLS
#define ALIVE (~gone & (BIT(JOBS) - 1))
  :: atomic {
       kills > 0 && ALIVE != 0 ->
       CHOOSE(ALIVE);
       d_step { kills--; end_process(which); which = 0 }
     }
  :: kills > 0 -> kills = 0
#endif
#if SIGNALS
  :: atomic {
       signals > 0 && (waits & ~signalled) != 0 ->
       CHOOSE(waits & ~signalled);
       signals--;
       ADD(signalled, which);
       which = 0
     }
  :: signals > 0 -> signals = 0
#endif
#if STOPS
  :: atomic {
       stops > 0 && (at_slots & ~stopped) != 0 ->
       CHOOSE(at_slots & ~stopped);
       stops--;
       ADD(stopped, which);
       which = 0
     }
  :: stops > 0 -> stops = 0
#endif
#if UNLINKS
  :: atomic { unlinks > 0 && named -> unlinks--; named = 0 }
  :: unlinks > 0 -> unlinks = 0
#endif
#ifdef LIVENESS
  :: which = 0 /* nothing happens any more */
#endif
  :: false
  od
}

#if KILLS
/* The commands of killed wrappers end. */
active proctype remaining_processes() {
  byte which;
end:
  do
  :: atomic {
       (commands & gone) != 0 ->
       CHOOSE(commands & gone);
       d_step { DROP(commands, which); unlock_all(which); which = 0 }
     }
  od
}
#endif

#ifdef LIVENESS
/* No waiter is lost: the number of jobs is limited, so in the end no job waits. */
ltl served { <> [] (waits == 0) }
#endif
