/*
 * How jobs take the files of several locks. A lock has a flat file and a nested one; a job
 * takes one of them, or both. README.md lists the functions of the source that each step
 * stands for.
 *
 * A chain is a job, the job that its command starts and waits for, and so on, DEPTH deep.
 * locks.pml has the wrapper and the command of a job. Here they are one process: it takes
 * files, is inside while the command runs, and releases them. The model leaves open which
 * locks each job wants, and in which layouts: the search tries all choices.
 *
 * Sizes: TOP (chains), DEPTH, WORKSPACES, PACKS (with workspaces, three at most). Upper
 * limit: KILLS.
 * Variants: SYNCS (the first job of a chain may also be a `grex sync`), SHARERS (a job may
 * want all of its locks shared), RENEWAL (the `.grex` of a pack is replaced once),
 * INSIDE_NESTED (a job may name the `.grex` of a pack as a pack), LIVENESS (see the end).
 * Safeguards to remove: NO_FILE_ORDER, NO_INODE, NO_GUARD_FIRST, NO_SECOND_FILE, NO_REST,
 * NO_FLAT_FIRST, NO_OTHER_LOCKS, NO_MODE, NO_GUARD, NO_GUARD_TIER, NO_EQUAL_TIER,
 * NO_STRONGER, NO_COPIES, NO_DIRECTORY.
 */

#ifndef TOP
#define TOP 2
#endif
#ifndef DEPTH
#define DEPTH 1
#endif
#ifndef WORKSPACES
#define WORKSPACES 1
#endif
#ifndef PACKS
#define PACKS 2
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define JOBS (TOP * DEPTH)
#define JOB(chain, level) ((chain) * DEPTH + (level))
#define c _pid                 /* the chain that takes a step */

#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) >> (n)) & 1)

/* Locks: first the workspace-sync locks, then the per-pack locks. */
#define LOCKS (WORKSPACES + PACKS)
#define IS_WORKSPACE(l) ((l) < WORKSPACES)

/* Files are numbered in the one order: by tier, then the flat ones first, then by the
   inodes of their directories. Those of packs and those of their `.grex` are in opposite
   orders. The last file is what the last pack has as its nested one after a RENEWAL. */
#define FLAT(l) (IS_WORKSPACE(l) -> (l) : WORKSPACES + (l))
#define OLD_NESTED(l) (IS_WORKSPACE(l) -> 2 * WORKSPACES - 1 - (l) : 3 * WORKSPACES + 2 * PACKS - 1 - (l))
#define REPLACED (2 * WORKSPACES + PACKS)
#define RENEWED (2 * LOCKS)
#define FILES (2 * LOCKS + 1)
#ifdef RENEWAL
bool is_renewed;
#define NESTED(l) (is_renewed && (l) == LOCKS - 1 -> RENEWED : OLD_NESTED(l))
#define IS_NAMED(f) ((f) != REPLACED || !is_renewed)
#else
#define NESTED(l) OLD_NESTED(l)
#define IS_NAMED(f) true
#endif

/* The layouts of a job: a set. */
#define IN_FLAT 1
#define IN_NESTED 2
#define IN_BOTH 3
#define IN_DOT_GREX 4 /* flat, but the `.grex` of the last pack instead of that pack */
#define FILE_IN(layout, l) ((layout) == 0 || ((layout) == 2 && (l) != LOCKS - 1) -> FLAT(l) : NESTED(l))

/* Sets of files. */
#define ALL (BIT(FILES) - 1)
#define FILES_OF(l) (BIT(FLAT(l)) | BIT(NESTED(l)))
#define FILES_OF_WORKSPACES (BIT(2 * WORKSPACES) - 1)
#define FLAT_FILES ((BIT(WORKSPACES) - 1) | ((BIT(PACKS) - 1) << (2 * WORKSPACES)))

/* The lock on each file. */
byte exclusive;                /* the files that are locked exclusively */
byte sharers[FILES];           /* how many jobs have each of them locked shared */
#define IS_FREE(f, is_shared) (!HAS(exclusive, f) && ((is_shared) || sharers[f] == 0))

/* Files of each job: those that it has locked, and those that it wants shared. */
byte locked[JOBS], shared[JOBS];
#ifdef NO_STRONGER
byte guarded[JOBS];            /* files of guards, also if it wants them exclusively */
#define IS_SHARED(job, f) HAS(guarded[job], f)
#else
#define IS_SHARED(job, f) HAS(shared[job], f)
#endif

byte todo[TOP];                /* the files that the last job of a chain still has to take */
byte chosen;                   /* how many first jobs have been chosen; NONE: search no further */
byte syncs;                    /* chains: those whose first job is a `grex sync` */
byte kills = KILLS;
#define NONE 255

/* What the program cannot see. relies_on: the files that exclude others from what a job
   works on, whether this job has locked them or not. inside: jobs whose command runs. */
byte relies_on[JOBS], inside;

hidden byte i, k, file, above, above_shared, mode; /* only within one step */

inline lock(job, f) {
  locked[job] = locked[job] | BIT(f);
  if
  :: IS_SHARED(job, f) -> sharers[f]++
  :: else -> exclusive = exclusive | BIT(f)
  fi
}

inline unlock(job, set) {
  k = 0;
  do
  :: k < FILES ->
     if
     :: HAS(locked[job] & (set), k) && IS_SHARED(job, k) -> sharers[k]--
     :: HAS(locked[job] & (set), k) && !IS_SHARED(job, k) -> exclusive = exclusive & ~BIT(k)
     :: else
     fi;
     k++
  :: else -> break
  od;
  locked[job] = locked[job] & ~(set)
}

inline release(job) {
  unlock(job, ALL);
  shared[job] = 0;
  relies_on[job] = 0;
  inside = inside & ~BIT(job)
}

/* Chooses what a job wants. A guard is the lock of a workspace, wanted shared. */
inline choose() {
  if
  :: layouts = IN_FLAT
  :: layouts = IN_NESTED
  :: layouts = IN_BOTH
#ifdef INSIDE_NESTED
  :: layouts = IN_DOT_GREX
#endif
  fi;
  wanted = 1;
  do
  :: wanted < BIT(LOCKS) - 1 -> wanted++
  :: break
  od;
  if
  :: wanted >= BIT(WORKSPACES) -> guards = BIT(WORKSPACES) - 1
#ifdef SHARERS
  :: guards = wanted; wanted = 0
#endif
#ifdef SYNCS
  /* grex locks a workspace, and then no pack or one at a time. */
  :: level == 0 && layouts != IN_BOTH && (wanted == 1 || wanted == 1 + BIT(WORKSPACES)) -> syncs = syncs | BIT(c)
#endif
  :: true
  fi
}

#define SHARED 1
#define MODE(l) (HAS(guards, l) && !HAS(wanted, l))

/* Finds which files a job must take: those that no ancestor has locked. */
inline judge(job) {
  above = 0;
  above_shared = 0;
  i = JOB(c, 0);
  do
  :: i < job -> above = above | locked[i]; above_shared = above_shared | (locked[i] & shared[i]); i++
  :: else -> break
  od;
  i = 0;
  do
  :: i < LOCKS ->
     mode = MODE(i);
     k = 0;
     do
     :: k < 3 && HAS(wanted | guards, i) && HAS(layouts, k) -> file = FILE_IN(k, i); judge_file(job, i, file); k++
     :: k < 3 && !(HAS(wanted | guards, i) && HAS(layouts, k)) -> k++
     :: else -> break
     od;
     i++
  :: else -> break
  od
}

/* The tier rule: an ancestor may have locked files of lower tiers only. */
#define FROM_TIER_OF(l) (IS_WORKSPACE(l) -> ALL : ALL & ~FILES_OF_WORKSPACES)
#if defined(NO_GUARD_TIER)
#define FORBIDDEN(l) (HAS(wanted, l) -> FROM_TIER_OF(l) : 0)
#elif defined(NO_EQUAL_TIER)
#define FORBIDDEN(l) (HAS(wanted, l) -> FROM_TIER_OF(l) : ALL & ~FILES_OF_WORKSPACES)
#else
#define FORBIDDEN(l) FROM_TIER_OF(l)
#endif
#ifdef NO_OTHER_LOCKS
#define BREAKS_TIER_RULE(l) ((above & FILES_OF(l)) == 0 && (above & FORBIDDEN(l)) != 0)
#else
#define BREAKS_TIER_RULE(l) ((above & ~FILES_OF(l) & FORBIDDEN(l)) != 0)
#endif
/* Between the files of one lock it doesn't apply, but the flat one must come first. */
#ifdef NO_FLAT_FIRST
#define IS_BELOW_NESTED(l, f) false
#else
#define IS_BELOW_NESTED(l, f) ((f) == FLAT(l) && HAS(above, NESTED(l)))
#endif
/* Re-entry. */
#ifdef NO_REST
#define IS_OURS(l, f) ((above & FILES_OF(l)) != 0)
#else
#define IS_OURS(l, f) HAS(above, f)
#endif
#ifdef NO_MODE
#define IS_ENOUGH(f) true
#else
#define IS_ENOUGH(f) (mode == SHARED || !HAS(above_shared, f))
#endif
#if defined(NO_GUARD)
#define IS_LEFT_OUT(l, f) (!HAS(wanted, l))
#elif defined(NO_SECOND_FILE)
#define IS_LEFT_OUT(l, f) (layouts == IN_BOTH && (f) == NESTED(l))
#else
#define IS_LEFT_OUT(l, f) false
#endif

inline judge_file(job, l, f) {
  relies_on[job] = relies_on[job] | BIT(f);
  shared[job] = shared[job] | (mode << f);
#ifdef NO_STRONGER
  guarded[job] = guarded[job] | (HAS(guards, l) << f);
#endif
  if
  :: IS_OURS(l, f) -> is_refused = is_refused || !IS_ENOUGH(f)               /* 75 */
  :: else ->
     is_refused = is_refused || BREAKS_TIER_RULE(l) || IS_BELOW_NESTED(l, f); /* 76 */
     todo[c] = (IS_LEFT_OUT(l, f) -> todo[c] : todo[c] | BIT(f))
  fi
}

/* The file at a place in the order of taking them. */
#if defined(NO_FILE_ORDER) /* by the directory of a lock's first file */
#define FILE_AT(p) ((relies_on[JOB(c, level)] & FLAT_FILES) == 0 || (p) == RENEWED -> (p) : FILE_IN((p) % 2, (p) / 2))
#elif defined(NO_INODE) /* by paths, which are mirrored for some */
#define FILE_AT(p) (c == 0 || (p) == RENEWED -> (p) : MIRRORED(p))
#define MIRRORED(p) ((p) < 2 * WORKSPACES -> \
  ((p) < WORKSPACES -> WORKSPACES - 1 - (p) : 3 * WORKSPACES - 1 - (p)) : \
  ((p) < REPLACED -> 4 * WORKSPACES + PACKS - 1 - (p) : 4 * WORKSPACES + 3 * PACKS - 1 - (p)))
#elif defined(NO_GUARD_FIRST)
#define FILE_AT(p) ((p) == RENEWED -> (p) : ((p) < 2 * PACKS -> (p) + 2 * WORKSPACES : (p) - 2 * PACKS))
#elif defined(INSIDE_NESTED)
#define FILE_AT(p) (is_dot_grex && (p) >= 2 * WORKSPACES && (p) <= REPLACED -> \
  ((p) == 2 * WORKSPACES -> REPLACED : (p) - 1) : (p))
#else
#define FILE_AT(p) (p)
#endif

/* Opens the next file, in the directory by whose inode it was sorted. */
inline open_next() {
  k = 0;
  do
  :: k < FILES && !HAS(todo[c], FILE_AT(k)) -> k++
  :: else -> break
  od;
  next = (k < FILES -> FILE_AT(k) : NONE);
#ifdef NO_DIRECTORY
  opened = (k < FILES && !IS_NAMED(next) -> RENEWED : next);
#define RENAME(set) set = (HAS(set, next) -> (set) & ~BIT(next) | BIT(opened) : set)
#endif
  skip
}
#ifndef NO_DIRECTORY
#define opened next
#endif

/* A job has all of its files, and its command starts. No two jobs that rely on one file
   are inside, unless both of them share it, or one of them is an ancestor of the other. */
inline enter(job) {
  inside = inside | BIT(job);
  i = 0;
  do
  :: i < JOBS ->
     assert(!HAS(inside, i) || i / DEPTH == c ||
       (relies_on[i] & relies_on[job] & ~(shared[i] & shared[job])) == 0);
     i++
  :: else -> break
  od
}

#ifdef RENEWAL
#define RENEW(set) (HAS(set, REPLACED) -> (set) & ~BIT(REPLACED) | BIT(RENEWED) : set)
/* The locked file is not the one that its path names now: take all again. */
inline start_over(job) {
  todo[c] = todo[c] | locked[job];
  unlock(job, ALL);
  todo[c] = RENEW(todo[c]);
  shared[job] = RENEW(shared[job]);
  relies_on[job] = RENEW(relies_on[job])
}
#else
#define start_over(job) skip
#endif

#define CODE(chain) ((relies_on[JOB(chain, 0)] << 9) + (shared[JOB(chain, 0)] << 1) + HAS(syncs, chain))

active [TOP] proctype chain() {
#define job JOB(c, level)
  byte level, next = NONE;
  byte layouts, wanted, guards;
  bool is_refused;
#ifdef NO_DIRECTORY
  byte opened;
#endif
#ifdef INSIDE_NESTED
  bool is_dot_grex;
#endif
end_choose:
  atomic {
    chosen == c;
    choose();
    d_step {
      judge(job);
#ifdef INSIDE_NESTED
      is_dot_grex = layouts == IN_DOT_GREX;
#endif
      layouts = 0;
      wanted = 0;
      guards = 0;
      open_next();
      /* Swapping two chains makes no difference. */
#ifndef NO_INODE
      if
      :: c > 0 && CODE(c - 1) > CODE(c) -> chosen = NONE
      :: else -> chosen++
      fi
#else
      chosen++
#endif
    }
  };
end_begin:
  chosen == TOP;

take_all:
  do
  :: d_step { /* flock, and stat */
       todo[c] != 0 && IS_FREE(opened, IS_SHARED(job, next)) ->
       if
       :: IS_NAMED(opened) ->
#ifdef NO_DIRECTORY
          RENAME(shared[job]);
          RENAME(relies_on[job]);
#endif
          lock(job, opened);
          todo[c] = todo[c] & ~BIT(next)
       :: else -> start_over(job)
       fi;
       open_next();
       if
       :: todo[c] == 0 -> enter(job)
       :: else
       fi
     }
  :: atomic { /* grex tries the lock of the workspace once */
       todo[c] != 0 && level == 0 && HAS(syncs, c) && HAS(FILES_OF_WORKSPACES, next) && !IS_FREE(opened, false) ->
       goto leave
     }
#if KILLS
  :: atomic { todo[c] != 0 && kills > 0 -> kills--; goto leave }
#endif
  :: atomic { todo[c] == 0 -> break }
  od;

#if DEPTH > 1
  if
  :: atomic { /* the command starts another job */
       level + 1 < DEPTH && !(level == 0 && HAS(syncs, c)) ->
       level++;
       choose();
       d_step { judge(job); layouts = 0; wanted = 0; guards = 0 };
       if
       :: is_refused -> is_refused = false; goto leave
       :: else
       fi;
       d_step {
         open_next();
         if
         :: todo[c] == 0 -> enter(job)
         :: else
         fi
       };
       goto take_all
     }
  :: true
  fi;
#endif
ends:
#if KILLS
  do
  :: atomic { kills > 0 -> kills-- } /* the wrapper; the command has copies of its descriptors */
#ifdef NO_COPIES
     ; d_step { unlock(job, FLAT_FILES) }
#endif
  :: break
  od;
#endif

leave:
  atomic {
    d_step {
      release(job);
      todo[c] = 0;
      next = NONE
    };
    if
    :: level > 0 -> level--; goto ends
    :: else
    fi
  }
#undef job
}

#ifdef RENEWAL
active proctype world() {
end:
  d_step { chosen == TOP -> is_renewed = true }
}
#endif

#ifdef LIVENESS
/* No waiter is lost: the number of jobs is limited, so in the end no job waits. */
ltl served { <> [] (todo[0] == 0 && todo[1] == 0) }
#endif
