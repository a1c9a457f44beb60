/*
 * What a command that died of a signal leaves running, and how long its lock lasts.
 * README.md lists the functions of the source that each step stands for.
 *
 * One job is `grex-lock run -- SHELL`. Its shell may start workers, which may start
 * further ones, and a daemon with a session of its own. All of them inherit the locked
 * descriptor. A signal may end the shell while its workers still work. Next to it, one
 * other process wants the lock.
 *
 * Sizes: WORKERS (at the same time), FORKS (in all). Upper limits: KILLS, SIGNALS.
 * Variants: DAEMON (the shell may start one, which never ends), OTHER_USERS (a worker
 * may be a process of another user, whose descriptors cannot be read), LIVENESS (see
 * the end).
 * Safeguards to remove: NO_SEARCH, NO_SECOND_LIST, NO_UNREADABLE, NO_SESSION.
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef FORKS
#define FORKS 3
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef SIGNALS
#define SIGNALS 1
#endif

#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) >> (n)) & 1)

/* The processes of the job. Workers have the numbers from 2 on. */
#define WRAPPER 0
#define SHELL 1
#define DAEMON_PROCESS (2 + WORKERS)
#define WORKERS_SET (BIT(DAEMON_PROCESS) - BIT(2))
#define SESSION (WORKERS_SET | BIT(SHELL))

/* Who has the lock file locked. */
#define NOBODY 0
#define JOB 1
#define OTHER 2

byte alive = BIT(WRAPPER) | BIT(SHELL);
byte open_in = BIT(WRAPPER) | BIT(SHELL);  /* the processes that have the locked descriptor */
byte unreadable;                           /* workers of another user */
byte owner = JOB;
byte forks = FORKS, kills = KILLS, signals = SIGNALS;
bool forwarded;    /* a signal that should end the shell */
bool is_signalled; /* the shell died of a signal, or ended after one was forwarded */
bool work_remained; /* a search has found work, or could not be sure */
bool was_in;       /* the other process has had the lock */

#define IS_ALIVE(p) HAS(alive, p)
#define HAS_DESCRIPTOR(p) HAS(open_in, p)

/* The kernel closes the descriptor; the last close unlocks. */
inline close_descriptor(p) {
  open_in = open_in & ~BIT(p);
  if
  :: open_in == 0 && owner == JOB -> owner = NOBODY
  :: else
  fi
}

inline end_process(p) {
  alive = alive & ~BIT(p);
  unreadable = unreadable & ~BIT(p);
  close_descriptor(p)
}

inline choose(which, set) {
  which = 0;
  do
  :: HAS(set, which) -> break
  :: ((set) >> (which + 1)) != 0 -> which++
  od
}

inline start(p) {
  alive = alive | BIT(p);
  open_in = open_in | BIT(p)
}

#ifdef NO_UNREADABLE
#define IS_KNOWN_TO_HOLD(p) (HAS_DESCRIPTOR(p) && !HAS(unreadable, p))
#else
#define IS_KNOWN_TO_HOLD(p) HAS_DESCRIPTOR(p) /* or its descriptors cannot be read */
#endif
#ifdef NO_SESSION
#define COUNTS(p) true
#else
#define COUNTS(p) HAS(SESSION, p)
#endif

active proctype wrapper() {
  byte listed, which, searches;
  bool remain, has_changed;
  {
    !IS_ALIVE(SHELL); /* wait, without reaping it */
#ifndef NO_SEARCH
    do
    :: is_signalled ->
       d_step { /* list the processes of the machine */
         listed = alive & ~BIT(WRAPPER);
         remain = false;
         has_changed = false;
         searches++
       };
       do /* read each of them, in any order */
       :: listed != 0 ->
          atomic {
            choose(which, listed);
            d_step {
              listed = listed & ~BIT(which);
              if
              :: !IS_ALIVE(which) -> has_changed = true; work_remained = true
              :: IS_ALIVE(which) && COUNTS(which) && IS_KNOWN_TO_HOLD(which) ->
                 remain = true;
                 work_remained = work_remained || HAS(SESSION, which)
              :: else
              fi;
              which = 0
            }
          }
       :: else -> break
       od;
#ifdef NO_SECOND_LIST
       has_changed = false;
#endif
       if
       :: !remain && !has_changed -> break                          /* no process remains */
       :: (remain || has_changed) && searches < 2                   /* it may be ending: look again */
       :: remain || has_changed -> goto closed                      /* the time is up */
       fi
    :: else -> break
    od;
#endif
    atomic { /* unlock */
      if
      :: owner == JOB -> owner = NOBODY
      :: else
      fi
    };
closed:
    atomic {
      listed = 0;
      d_step { remain = false; has_changed = false; end_process(WRAPPER) }
    }
  } unless { !IS_ALIVE(WRAPPER) }
}

/* The shell and the processes that it leaves. */
active proctype session() {
  byte which;
end:
  do
  :: atomic { /* any of them starts a worker */
       forks > 0 && (alive & SESSION) != 0 && (alive & WORKERS_SET) != WORKERS_SET ->
       forks--;
       which = 2;
       do
       :: HAS(alive, which) -> which++
       :: else -> break
       od;
       start(which);
#ifdef OTHER_USERS
       if
       :: unreadable = unreadable | BIT(which)
       :: true
       fi;
#endif
       which = 0
     }
#ifdef DAEMON
  :: d_step { IS_ALIVE(SHELL) && !HAS(alive, DAEMON_PROCESS) -> start(DAEMON_PROCESS) }
#endif
  :: atomic { /* a worker ends */
       (alive & WORKERS_SET) != 0 ->
       choose(which, alive & WORKERS_SET);
       d_step { end_process(which); which = 0 }
     }
    /* The shell ends by itself when its workers have ended, or anyway because of a signal. */
  :: d_step { IS_ALIVE(SHELL) && (alive & WORKERS_SET) == 0 -> is_signalled = forwarded; end_process(SHELL) }
  :: d_step { IS_ALIVE(SHELL) && forwarded -> is_signalled = true; end_process(SHELL) }
  od
}

/* grex, flock(1) or another grex-lock: it comes in when the lock is free. */
active proctype other() {
end:
  atomic {
    owner == NOBODY ->
    owner = OTHER;
    /* Nothing of the job works under the same lock. */
    assert((alive & SESSION) == 0);
    was_in = true
  };
  d_step { owner = NOBODY }
}

/* The world kills processes of the job, and sends the wrapper signals to forward. */
active proctype world() {
  byte which;
end:
  do
  :: atomic {
       kills > 0 && alive != 0 ->
       choose(which, alive);
       d_step {
         kills--;
         if
         :: which == SHELL -> is_signalled = true
         :: else
         fi;
         end_process(which);
         which = 0
       }
     }
  :: d_step { signals > 0 && IS_ALIVE(WRAPPER) && IS_ALIVE(SHELL) -> signals--; forwarded = true }
  :: kills > 0 -> kills = 0
  :: signals > 0 -> signals = 0
#ifdef LIVENESS
  :: which = 0 /* nothing happens any more */
#endif
  :: false
  od
}

#ifdef LIVENESS
/* In the end the lock is free. Only if the wrapper was killed or work remained, a
   daemon with the descriptor keeps the lock: no process is left that could unlock. */
#define PINNED (HAS(open_in, DAEMON_PROCESS) && !IS_ALIVE(WRAPPER) && owner == JOB && (work_remained || kills < KILLS))
ltl freed { <> (was_in || PINNED) }
#endif
