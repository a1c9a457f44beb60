/*
 * Lock files that are removed or replaced while they are locked, and how their holders
 * notice it, create them again and report it. README.md lists the functions of the source
 * that each step stands for.
 *
 * Each job takes a lock once: exclusively or shared, with both of its files or only the
 * flat one. While it works, and once at its end, it looks for its files. In the meantime,
 * each file may be removed or replaced once, and the directory renamed, and replaced.
 *
 * Sizes: JOBS, LOOKS (before the last one). Upper limits: REMOVALS, RENAMES.
 * Variants: SHARERS (jobs may share, and all have both files, see README.md), AGAIN (a file may be changed any number of times
 * within REMOVALS; then the report at the end is not checked, see README.md).
 * Safeguards to remove: NO_LINK, NO_NAMED_AGAIN, NO_PATH_CHECK, NO_FOREIGN, NO_CONTENT,
 * NO_LAST_FIND.
 */

#ifndef JOBS
#define JOBS 2
#endif
#ifndef LOOKS
#define LOOKS 1
#endif
#ifndef REMOVALS
#define REMOVALS 2
#endif
#ifndef RENAMES
#define RENAMES 0
#endif

#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) >> (n)) & 1)

/* The names of the files in a directory, of which there are two, and the inodes. */
#define FLAT 0
#define NESTED 1
#define LEADS(dir, n) leads[2 * (dir) + (n)]
#define NOWHERE 2
#define INODES 12

byte leads[4];
byte path;                 /* the directory that PATH names */
byte last_inode;
byte holders[INODES];      /* the jobs that have it locked */
short is_exclusive;        /* the inodes that are locked so */
short has_content;         /* the inodes into which an exclusive holder has written */
byte working;              /* the jobs whose commands run */
byte done;                 /* those that have made their last report */
byte lost;                 /* those that have reported `lost` */
byte sharing;              /* those that share */
byte flat_only;            /* those that take no nested file */
byte relies_on[2];         /* by name: the jobs that rely on having it locked */
byte overlapped[JOBS];     /* the jobs that worked at the same time */
byte removals = REMOVALS, renames = RENAMES;
byte changed;              /* the names that were removed or replaced: 2 * dir + n */

#define MAY_LOCK(i, j) \
  ((holders[i] & ~BIT(j)) == 0 || (HAS(sharing, j) && !HAS(is_exclusive, i)))
#define CONFLICT(a, b) (a != b && !(HAS(sharing, a) && HAS(sharing, b)))
#define LAST(j) (HAS(flat_only, j) -> FLAT : NESTED)

inline create(dir, n) {
  last_inode++;
  assert(last_inode < INODES);
  LEADS(dir, n) = last_inode
}

inline lock(i, j) {
  holders[i] = holders[i] | BIT(j);
  if
  :: !HAS(sharing, j) -> is_exclusive = is_exclusive | BIT(i)
  :: else
  fi
}

inline unlock_all(j) {
  k = 0;
  do
  :: k < INODES ->
     holders[k] = holders[k] & ~BIT(j);
     if
     :: holders[k] == 0 -> is_exclusive = is_exclusive & ~BIT(k)
     :: else
     fi;
     k++
  :: else -> break
  od;
  k = 0;
  relies_on[FLAT] = relies_on[FLAT] & ~BIT(j);
  relies_on[NESTED] = relies_on[NESTED] & ~BIT(j)
}

/* No two jobs rely on one name, unless both share. */
inline rely_on(n, j) {
  relies_on[n] = relies_on[n] | BIT(j);
  k = 0;
  do
  :: k < JOBS ->
     assert(!(CONFLICT(k, j) && HAS(relies_on[n], k)));
     k++
  :: else -> break
  od;
  k = 0
}

/* Looks for one file, and restores it. */
inline look_for(n) {
  atomic {
#ifndef NO_PATH_CHECK
    if
    :: path != dir && path != NOWHERE -> lost = lost | BIT(j); gone = gone | BIT(n) /* elsewhere */
    :: else
    fi
#else
    skip
#endif
  };
  do
  :: HAS(gone, n) || LEADS(dir, n) == file[n] -> break
  :: else ->
     atomic { /* a new file gets its name when it is locked: O_TMPFILE, linkat(2) */
       is_new = (LEADS(dir, n) == 0);
       if
       :: is_new ->
          create(dir, n);
#ifndef NO_LINK
          lock(LEADS(dir, n), j)
#endif
       :: else
       fi;
       i = LEADS(dir, n)
     };
     atomic { /* try */
       if
       :: MAY_LOCK(i, j) -> lock(i, j)
       :: else -> lost = lost | BIT(j); gone = gone | BIT(n); break /* another process was faster */
       fi
     };
     atomic {
       if
#ifndef NO_NAMED_AGAIN
       :: path != dir && path != NOWHERE -> lost = lost | BIT(j); gone = gone | BIT(n); break
       :: (path == dir || path == NOWHERE) && LEADS(dir, n) != i /* again */
       :: (path == dir || path == NOWHERE) && LEADS(dir, n) == i ->
#else
       :: true ->
#endif
          file[n] = i;
          if
#ifdef NO_FOREIGN
          :: false
#elif defined NO_CONTENT
          :: !is_new && !HAS(sharing, j) -> lost = lost | BIT(j)
#else
          :: !is_new && (!HAS(sharing, j) || HAS(has_content, i)) -> lost = lost | BIT(j)
#endif
          :: else
          fi;
          if
          :: n == LAST(j) && !HAS(sharing, j) -> has_content = has_content | BIT(i)
          :: else
          fi;
          if
          :: path == dir -> rely_on(n, j)
          :: else
          fi;
          break
       fi
     }
  od
}

inline look() {
  look_for(FLAT);
  if
  :: !HAS(flat_only, j) -> look_for(NESTED)
  :: else
  fi;
  skip
}

active [JOBS] proctype job() {
  byte j = _pid;
  byte dir, i, k, n, looks;
  byte file[2];
  byte gone; /* the names that are not looked at any more */
  bool is_new;
  atomic {
    if
#ifdef SHARERS
    :: sharing = sharing | BIT(j)
#else
    :: flat_only = flat_only | BIT(j)
#endif
    :: true
    fi
  };
end_without_path: /* no job starts without PATH */
  atomic { path != NOWHERE -> dir = path; n = FLAT };
  do
  :: n <= LAST(j) ->
     atomic {
       if
       :: LEADS(dir, n) == 0 -> create(dir, n)
       :: else
       fi;
       i = LEADS(dir, n)
     };
end_waits: /* behind a file that stays locked for the rest of the search */
     atomic { MAY_LOCK(i, j) -> lock(i, j); file[n] = i };
     if
     :: LEADS(dir, n) == i && path == dir -> n++
     :: else -> goto start_over
     fi
  :: else -> break
  od;
  n = FLAT;
  do /* all are still named */
  :: n <= LAST(j) ->
     atomic {
       if
       :: LEADS(dir, n) == file[n] && path == dir -> rely_on(n, j); n++
       :: else -> goto start_over
       fi
     }
  :: else -> break
  od;
  atomic {
    n = 0;
    if
    :: !HAS(sharing, j) -> has_content = has_content | BIT(file[LAST(j)])
    :: else
    fi
  };
  d_step { /* the command starts */
    working = working | BIT(j);
    k = 0;
    do
    :: k < JOBS ->
       if
       :: CONFLICT(k, j) && HAS(working, k) ->
          overlapped[j] = overlapped[j] | BIT(k);
          overlapped[k] = overlapped[k] | BIT(j)
       :: else
       fi;
       k++
    :: else -> break
    od;
    k = 0
  };
  do
  :: looks < LOOKS -> look(); looks++
  :: break
  od;
  working = working & ~BIT(j);
#ifndef NO_LAST_FIND
  look();
#endif
  d_step {
    done = done | BIT(j);
    looks = 0;
#ifndef AGAIN
    k = 0;
    do /* jobs that overlapped have a report of it */
    :: k < JOBS ->
       assert(!(HAS(overlapped[j], k) && HAS(done, k)) || HAS(lost, j) || HAS(lost, k));
       k++
    :: else -> break
    od;
#endif
    unlock_all(j)
  };
  goto over;
start_over:
  atomic { unlock_all(j); n = FLAT };
  goto end_without_path;
over:
  skip
}

/* What other programs do to the files: rm, git clean, mv, a checkout. */
active proctype world() {
  byte which;
end:
  do
  :: atomic {
       removals > 0 ->
       removals--;
       if
       :: which = FLAT
       :: which = NESTED
       fi;
#ifndef AGAIN
       if
       :: HAS(changed, which) -> skip
       :: else ->
#endif
          changed = changed | BIT(which);
          if
          :: LEADS(0, which) != 0 -> LEADS(0, which) = 0
          :: LEADS(0, which) != 0 -> create(0, which)
          :: LEADS(0, which) == 0 -> skip
          fi;
          relies_on[which] = 0
#ifndef AGAIN
       fi
#endif
       ;
       which = 0
     }
  :: atomic { /* mv PATH … */
       renames > 0 && path == 0 -> renames--; path = NOWHERE; relies_on[FLAT] = 0; relies_on[NESTED] = 0
     }
  :: atomic { path == NOWHERE -> path = 0 }
  :: atomic { path == NOWHERE -> path = 1 } /* mkdir PATH */
  od
}
