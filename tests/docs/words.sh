#!/usr/bin/env bash
# Checks that texts that users read are in plain English: documents, man pages,
# completions, and string literals of the program. Each pattern below is a word or phrase
# that is hard to read or means something else; the last column is what to write.
# usage: words.sh SOURCE-DIRECTORY
set -euo pipefail
cd "$1"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/grex-lock-words.XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT

# Perl patterns, with any case, and what to write instead.
cat >"$scratch/words" <<'END'
\bt(ell|ells|elling|old)\b	show, print, report, say, log
\b(no|some|every|any)body\b	no process, another process, a user
\b(someone|anyone|everyone)\b	another process, a user
\bwhoever\b|\bthose who\b|\bhe who\b	a process that, processes that
\banew\b	again
\bagain and again\b	repeatedly
\bmeanwhile\b	in the meantime
\bpassed over\b	skipped
\bfor ever\b	forever
\blikewise\b	also
\bmend(s|ed|ing)?\b	fix
\b(is|are|was|were) to (be|have|[a-z]+)\b	must, should, will
\bha(s|ve|d) to\b	must
\bwould have to\b	would need to
\bat once\b	immediately, at the same time
\ba grex-lock\b(?! (process|hold)\b)	grex-lock, a grex-lock process
\bthe grex\b(?! (command|process|release|lock)|-lock)	grex
\bpermits?\b	slot
\bis no command\b	unknown command
\bone word too many\b	unexpected argument
\bsay it as JSON\b	print JSON
\bwhere (busy|free|missing|needed|possible)\b	if
\bmay not be taken under\b	must be taken before
\bmade sure of\b	verified
\bkeep out every release\b	work alongside grex 1.1.0 and later
\btakes? it away again\b	uninstalls
\bwhat it went through\b	how it is tested
\bwait(s|ing)? for oneself\b	self-deadlock
\bdisproved\b	known to be stale
\bby the kernel's word\b	from /proc/locks
\bclimbed into\b	the search stops at
\bno grex disturbs\b	can't interrupt
\bthe rooms\b	source layout
END

# Quotations.
quoted='permit setenv|a semaphore with permits'

# Lines of text, with their file and line number.
{
  for page in man/*.[17]; do
    mandoc -T ascii -O width=1000 "$page" 2>/dev/null | col -bx | sed "s,^,$page: ,"
  done
  grep -n '' README.md SECURITY.md CONTRIBUTING.md CHANGELOG.md docs/*.md
  grep -nv '^ *#' completions/* demo.sh dev packaging/debian/package.cmake
  # String literals; those that follow each other are one.
  find src -name '*.[ch]pp' -exec perl -0777 -ne '
    while (m{//[^\n]*|/\*.*?\*/|^\#include[^\n]*|(?<!\w)\x27(?:\\.|[^\\\x27])*\x27|((?:"(?:\\.|[^"\\\n])*"\s*)+)}gsm) {
      my ($text, $line) = ($1 // next, 1 + (substr($_, 0, $-[0]) =~ tr/\n//));
      $text =~ s/"\s*"//g;
      $text =~ s/\\n|\s*\n\s*/ /g;
      print "$ARGV:$line: $text\n";
    }' {} +
} | grep -vE "$quoted" >"$scratch/text"

status=0
while IFS=$'\t' read -r pattern instead; do
  if grep -niP --color=never "$pattern" "$scratch/text" | cut -d : -f 2- >"$scratch/found"; then
    echo "words.sh: write '$instead' instead of '$pattern' in:" >&2
    cut -c 1-200 "$scratch/found" >&2
    status=1
  fi
done <"$scratch/words"
exit "$status"
