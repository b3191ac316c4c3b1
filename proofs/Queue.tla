------------------------------- MODULE Queue -------------------------------
(***************************************************************************)
(* The queue of workload/queue/scripts, its workers, its Redis that may go *)
(* back in time or lose keys, told or untold, and the ledger on the share. *)
(* One action is one script or one step of a worker; docs/proofs.md says   *)
(* which.                                                                  *)
(*                                                                         *)
(* A checkpoint is modelled as the sequence of items folded into it: equal *)
(* sequences are equal bytes, because a fold is a pure function.  Time is  *)
(* modelled as the right of a lease to have expired: always when nobody    *)
(* renews it, and now and then though somebody does.                       *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    N,          \* items 1..N, pushed in this order
    Workers,
    Bad,        \* items that are refused for their content
    Guards,     \* names of the guards that are in place
    Crashes,    \* how often workers die or hand back,
    Stops,      \*   are stopped (SIGSTOP),
    Restarts,   \*   Redis restarts and loses nothing,
    Losses,     \*   Redis restarts and loses what was not yet on its disk,
    Forgets,    \*   Redis is what it was once, and no connection ends,
    Snapshots,  \*     at the start or when a snapshot was taken,
    Tears,      \*   one of its keys is deleted or evicted,
    Skips,      \*   the operator skips an item,
    Copies,     \*   somebody pushes an item once more with plain RPUSH,
    Lates,      \*   a lease expires though its holder lives,
    Unanswered, \*   the reply to a commit is lost
    PushAgain,  \* whether items are pushed again after Redis lost them
    Steps       \* whether a ledger is written in steps that others may come between

VARIABLES
    redis,      \* all keys
    disk,       \* the same as of the last fsync of the append-only file
    ledger,     \* output/ledger.jsonl: a sequence of commits
    draft,      \* worker -> the ledger it is about to write
    stack,      \* worker -> what it holds, innermost last
    phase,      \* worker -> what it does with the innermost
    base,       \* worker -> checkpoint it folds on
    dirty,      \* worker -> must compare Redis with the ledger first
    plan,       \* worker -> commits it is about to restore
    stopped,    \* the stopped workers
    left,       \* what may still go wrong
    serial,     \* number of claims ever granted, whatever Redis forgot
    breach,     \* history: an effect of a worker that was not the holder
    overtook,   \* history: a commit while an earlier item was unfinished
    pushed,     \* history: items ever pushed
    written,    \* history: item -> checkpoints ever committed for it
    skipped     \* history: items ever skipped

vars == <<redis, disk, ledger, draft, stack, phase, base, dirty, plan, stopped, left, serial,
          breach, overtook, pushed, written, skipped>>
history == <<breach, overtook, pushed, written, skipped>>
Symmetry == Permutations(Workers)

Items == 1..N
Free == [tok |-> 0, ser |-> 0]
REFUSED == 1001
SKIPPED == 1002
RESTORED == 1003
NoPlan == [head |-> <<>>, commits |-> <<>>, missing |-> <<>>, mend |-> FALSE]
NoDraft == [step |-> "none", lines |-> <<>>, next |-> FALSE]
Empty == [waiting |-> <<>>, claim |-> [i \in Items |-> Free], expired |-> {},
          place |-> [i \in Items |-> 0], fence |-> 0, done |-> [i \in Items |-> 0], dead |-> {},
          commits |-> <<>>, head |-> <<>>]

Has(guard) == guard \in Guards

Max(S) == CHOOSE x \in S : \A y \in S : y <= x
Range(s) == {s[k] : k \in DOMAIN s}
Without(s, i) == SelectSeq(s, LAMBDA x : x # i)
Prefix(a, b) == Len(a) <= Len(b) /\ SubSeq(b, 1, Len(a)) = a

Init ==
    /\ redis = Empty
    /\ disk = redis
    /\ ledger = <<>>
    /\ draft = [w \in Workers |-> NoDraft]
    /\ stack = [w \in Workers |-> <<>>]
    /\ phase = [w \in Workers |-> "claim"]
    /\ base = [w \in Workers |-> <<>>]
    /\ dirty = [w \in Workers |-> FALSE]
    /\ plan = [w \in Workers |-> NoPlan]
    /\ stopped = {}
    /\ left = [crashes |-> Crashes, stops |-> Stops, restarts |-> Restarts, losses |-> Losses,
               forgets |-> Forgets, snapshots |-> Snapshots, tears |-> Tears, skips |-> Skips,
               copies |-> Copies, lates |-> Lates, unanswered |-> Unanswered]
    /\ serial = 0
    /\ breach = FALSE
    /\ overtook = FALSE
    /\ pushed = {}
    /\ written = [i \in Items |-> {}]
    /\ skipped = {}

----------------------------------------------------------------------------
(* What the scripts do with the keys. *)

Newest(commits) == IF commits = <<>> THEN <<>> ELSE commits[Len(commits)].checkpoint
Learned(commits) == {commits[k].item : k \in DOMAIN commits}
Known(r, i) == i \in Range(r.waiting) \/ r.claim[i] # Free \/ r.done[i] # 0
First(r, i) ==
    r.place[i] # 0 /\ \A j \in Items : r.place[j] # 0 => r.place[i] <= r.place[j]

\* _shared.lua torn: some keys are gone and others are not
Lacks(r) ==
    \/ (r.commits = <<>>) # (r.head = <<>>)
    \/ Cardinality({i \in Items : r.done[i] # 0}) # Len(r.commits) + Cardinality(r.dead)
    \/ Has("fence") /\ r.fence = 0 /\ \E i \in Items : r.place[i] # 0
Torn(r) == Has("torn") /\ Lacks(r)

\* claim.lua: the queue has held something
Filled(r) == r.fence # 0 \/ r.head # <<>> \/ r.dead # {}

Unclaimed(r, i) ==
    [r EXCEPT !.claim[i] = Free, !.expired = @ \ {i}]

Finished(r, i, how) ==
    [Unclaimed(r, i) EXCEPT !.done[i] = how, !.place[i] = 0,
                            !.dead = IF how \in {REFUSED, SKIPPED} THEN @ \cup {i} ELSE @ \ {i}]

\* _shared.lua put_back: to the front, behind those that precede it
PutBack(r, i) ==
    LET ahead == {k \in DOMAIN r.waiting :
                    \A l \in 1..k : r.place[r.waiting[l]] # 0
                                    /\ r.place[r.waiting[l]] <= r.place[i]}
        k == Cardinality(ahead)
    IN  [Unclaimed(r, i) EXCEPT !.waiting =
            SubSeq(@, 1, k) \o <<i>> \o SubSeq(@, k + 1, Len(@))]

\* claim.lua: the latest comes back first, so that the earliest ends up in front
RECURSIVE Reaped(_)
Reaped(r) ==
    IF r.expired = {} \/ ~Has("reap") THEN r
    ELSE LET places == {r.place[i] : i \in r.expired}
             last == CHOOSE i \in r.expired : r.place[i] = Max(places)
         IN  Reaped(PutBack(r, last))

\* claim.lua: copies of what is finished or in work are dropped
RECURSIVE Dropped(_)
Dropped(r) ==
    IF r.waiting # <<>> /\ Has("copies")
       /\ (r.done[r.waiting[1]] # 0 \/ r.claim[r.waiting[1]] # Free)
    THEN Dropped([r EXCEPT !.waiting = Tail(@)])
    ELSE r

Token(r) == IF Has("unique") THEN serial + 1 ELSE r.fence + 1

\* claim.lua grant, for an item that was just taken from the waiting list
Granted(r, i) ==
    [r EXCEPT !.fence = @ + 1, !.claim[i] = [tok |-> Token(r), ser |-> serial + 1],
              !.expired = @ \ {i},
              !.place[i] = IF @ # 0 /\ Has("place") THEN @ ELSE r.fence + 1]

\* hand_back.lua: everything of these claims that is still theirs
RECURSIVE HandedBack(_, _)
HandedBack(r, entries) ==
    IF entries = {} THEN r
    ELSE LET e == CHOOSE e \in entries : TRUE
             mine == r.claim[e.item] # Free
                     /\ (r.claim[e.item].tok = e.tok \/ ~Has("release"))
         IN  HandedBack(IF mine THEN PutBack(r, e.item) ELSE r, entries \ {e})

RECURSIVE Restored(_, _)
Restored(r, missing) ==
    IF missing = <<>> THEN r
    ELSE LET c == missing[1]
             f == Finished(r, c.item, RESTORED)
         IN  Restored([f EXCEPT !.commits = Append(@, c), !.head = c.checkpoint,
                                !.waiting = Without(@, c.item)], Tail(missing))

RECURSIVE Sorted(_, _)
Sorted(set, key) ==
    IF set = {} THEN <<>>
    ELSE LET i == CHOOSE i \in set : \A j \in set : key[i] <= key[j]
         IN  <<i>> \o Sorted(set \ {i}, key)

\* restore.lua in mode `mend`: these commits and all that the keys left tell.  What was finished and
\* is in no commit is learned again, first of all; then come those that have a place.
Mended(r, commits) ==
    LET dead == r.dead \cup {i \in Items : r.done[i] \in {REFUSED, SKIPPED}}
        lost == {i \in Items : r.done[i] # 0} \ (Learned(commits) \cup dead)
        placed == {i \in Items : r.place[i] # 0} \ (Learned(commits) \cup dead \cup lost)
        rest == SelectSeq(r.waiting, LAMBDA i : i \notin lost \cup placed \cup dead)
    IN  Restored([Empty EXCEPT !.fence = r.fence, !.dead = dead,
                               !.waiting = Sorted(lost, [i \in Items |-> i])
                                           \o Sorted(placed, r.place) \o rest,
                               !.done = [i \in Items |-> IF i \notin dead THEN 0
                                             ELSE IF r.done[i] = SKIPPED THEN SKIPPED
                                             ELSE REFUSED]], commits)

----------------------------------------------------------------------------
(* Who may act. *)

Top(w) == stack[w][Len(stack[w])]
Popped(w) == SubSeq(stack[w], 1, Len(stack[w]) - 1)
Acts(w) == w \notin stopped
Works(w) == Acts(w) /\ draft[w] = NoDraft  \* one thing at a time
Reconciled(w) == ~dirty[w] /\ plan[w] = NoPlan
Renews(i) == \E w \in Workers : Acts(w) /\ \E k \in DOMAIN stack[w] :
                stack[w][k].item = i /\ stack[w][k].tok = redis.claim[i].tok

\* Fold refuses an item whose date is not after the head's.
Late(w, i) == base[w] # <<>> /\ base[w][Len(base[w])] >= i
Breaks(e) == redis.claim[e.item].ser # e.ser

----------------------------------------------------------------------------
(* Pushing. *)

Push(i) ==
    /\ ~Known(redis, i) /\ \A j \in Items : j < i =>
           Known(redis, j) \/ (~PushAgain /\ j \in pushed)
    /\ i \notin pushed \/ PushAgain
    /\ redis' = [redis EXCEPT !.waiting = Append(@, i)]
    /\ pushed' = pushed \cup {i}
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, dirty, plan, stopped, left, serial,
                   breach,
                   overtook, written, skipped>>

PushCopy(i) ==
    /\ left.copies > 0 /\ Known(redis, i)
    /\ redis' = [redis EXCEPT !.waiting = Append(@, i)]
    /\ left' = [left EXCEPT !.copies = @ - 1]
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, dirty, plan, stopped, serial, history>>

Skip(i) ==
    /\ left.skips > 0 /\ Known(redis, i) /\ redis.done[i] = 0
    /\ redis' = [Finished(redis, i, SKIPPED) EXCEPT !.waiting = Without(@, i)]
    /\ left' = [left EXCEPT !.skips = @ - 1]
    /\ skipped' = skipped \cup {i}
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, dirty, plan, stopped, serial, breach,
                   overtook,
                   pushed, written>>

----------------------------------------------------------------------------
(* The worker. *)

Claim(w) ==
    /\ Works(w) /\ Reconciled(w) /\ stack[w] = <<>>
    /\ LET r == Dropped(Reaped(redis)) IN
       IF Torn(redis)
       THEN redis' = redis /\ dirty' = [dirty EXCEPT ![w] = TRUE] /\ UNCHANGED <<stack, serial>>
       ELSE IF r.waiting = <<>>
       THEN /\ redis' = r
            /\ dirty' = [dirty EXCEPT ![w] = Has("idle") /\ ~Filled(r) /\ ledger # <<>>]
            /\ UNCHANGED <<stack, serial>>
       ELSE LET i == r.waiting[1]
                g == Granted([r EXCEPT !.waiting = Tail(@)], i)
            IN  /\ redis' = g
                /\ stack' = [stack EXCEPT ![w] = <<[item |-> i, tok |-> g.claim[i].tok,
                                                   ser |-> serial + 1]>>]
                /\ serial' = serial + 1
                /\ UNCHANGED dirty
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ UNCHANGED <<disk, ledger, draft, base, plan, stopped, left, history>>

\* Hands everything back, because Redis lost something.
StartOver(w) ==
    /\ redis' = HandedBack(redis, Range(stack[w]))
    /\ breach' = (breach \/ \E e \in Range(stack[w]) :
                    Breaks(e) /\ redis'.claim[e.item] # redis.claim[e.item])
    /\ stack' = [stack EXCEPT ![w] = <<>>]
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ dirty' = [dirty EXCEPT ![w] = TRUE]

\* claim.lua with `holding`: its turn, an earlier item that came back, or wait
AskTurn(w) ==
    /\ Works(w) /\ stack[w] # <<>> /\ phase[w] = "claim"
    /\ LET r == Reaped(redis)
           e == Top(w)
           firsts == {i \in Items : First(r, i)}
       IN
       IF Torn(redis)
       THEN StartOver(w) /\ UNCHANGED <<base, serial>>
       ELSE IF r.claim[e.item].tok # e.tok
       THEN /\ redis' = r
            /\ stack' = [stack EXCEPT ![w] = Popped(w)]
            /\ UNCHANGED <<phase, base, serial, breach, dirty>>
       ELSE IF e.item \in firsts
       THEN /\ redis' = r
            /\ phase' = [phase EXCEPT ![w] = "turn"]
            /\ base' = [base EXCEPT ![w] = r.head]
            /\ UNCHANGED <<stack, serial, breach, dirty>>
       ELSE LET i == CHOOSE i \in firsts : TRUE IN
            IF i \in Range(r.waiting) /\ r.claim[i] = Free
            THEN LET k == CHOOSE k \in DOMAIN r.waiting : r.waiting[k] = i
                              /\ \A l \in 1..(k - 1) : r.waiting[l] # i
                     g == Granted([r EXCEPT !.waiting =
                            SubSeq(@, 1, k - 1) \o SubSeq(@, k + 1, Len(@))], i)
                 IN  /\ redis' = g
                     /\ stack' = [stack EXCEPT ![w] = Append(@,
                            [item |-> i, tok |-> g.claim[i].tok, ser |-> serial + 1])]
                     /\ serial' = serial + 1
                     /\ UNCHANGED <<phase, base, breach, dirty>>
            ELSE redis' = r /\ UNCHANGED <<stack, phase, base, serial, breach, dirty>>
    /\ UNCHANGED <<disk, ledger, draft, plan, stopped, left, overtook, pushed, written, skipped>>

\* What the ledger proves beyond what it is to be learned on, or against it
Contradicts(checkpoint) ==
    Len(ledger) > Len(checkpoint) \/ (Len(ledger) = Len(checkpoint) /\ Newest(ledger) # checkpoint)

\* Takes their turn from all who are about to write, then compares the ledger with the base.  It
\* agrees: fold and write a checkpoint, nothing anybody else can see.  Or all is handed back.
Fold(w) ==
    /\ Works(w) /\ phase[w] = "turn" /\ Reconciled(w)
    /\ draft' = [v \in Workers |-> [draft[v] EXCEPT !.next = @ /\ ~Has("before")]]
    /\ IF Has("reconcile") /\ Has("ledger") /\ Contradicts(base[w])
       THEN StartOver(w)
       ELSE /\ phase' = [phase EXCEPT ![w] = "fold"]
            /\ UNCHANGED <<redis, breach, stack, dirty>>
    /\ UNCHANGED <<disk, ledger, base, plan, stopped, left, serial, overtook, pushed, written,
                   skipped>>

Commits(w) ==
    LET e == Top(w) IN
    /\ redis.claim[e.item].tok = e.tok \/ ~Has("complete")
    /\ First(redis, e.item) \/ (~Has("order") /\ redis.place[e.item] # 0)
    /\ redis.head = base[w] \/ ~Has("head")
    /\ ~Torn(redis)

Committed(w) ==
    LET e == Top(w)
        checkpoint == Append(base[w], e.item)
    IN  /\ redis' = [Finished(redis, e.item, e.tok) EXCEPT !.head = checkpoint, !.commits =
                        Append(@, [item |-> e.item, base |-> base[w], checkpoint |-> checkpoint])]
        /\ written' = [written EXCEPT ![e.item] = @ \cup {checkpoint}]
        /\ breach' = (breach \/ Breaks(e))
        /\ overtook' = (overtook \/ ~First(redis, e.item))
        /\ UNCHANGED <<pushed, skipped>>

\* complete.lua: committed, committed before, or lost: the worker goes on alike
Complete(w) ==
    /\ Works(w) /\ phase[w] = "fold" /\ Top(w).item \notin Bad /\ ~Late(w, Top(w).item)
    /\ IF Commits(w) THEN Committed(w) ELSE UNCHANGED <<redis, history>>
    /\ stack' = [stack EXCEPT ![w] = Popped(w)]
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ UNCHANGED <<disk, ledger, draft, base, dirty, plan, stopped, left, serial>>

\* The commit happens, the worker does not hear of it and asks again.
CompleteUnanswered(w) ==
    /\ Works(w) /\ phase[w] = "fold" /\ Top(w).item \notin Bad /\ ~Late(w, Top(w).item)
    /\ left.unanswered > 0 /\ Commits(w)
    /\ Committed(w)
    /\ left' = [left EXCEPT !.unanswered = @ - 1]
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, dirty, plan, stopped, serial>>

Refuse(w) ==
    /\ Works(w) /\ stack[w] # <<>>
    /\ LET e == Top(w) IN
       /\ e.item \in Bad \/ (phase[w] = "fold" /\ Late(w, e.item))
       /\ IF redis.claim[e.item].tok = e.tok
          THEN /\ redis' = Finished(redis, e.item, REFUSED)
               /\ breach' = (breach \/ Breaks(e))
          ELSE UNCHANGED <<redis, breach>>
    /\ stack' = [stack EXCEPT ![w] = Popped(w)]
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ UNCHANGED <<disk, ledger, draft, base, dirty, plan, stopped, left, serial, overtook, pushed,
                   written, skipped>>

\* renew.lua
Renew(w) ==
    /\ Acts(w)
    /\ \E e \in Range(stack[w]) :
         /\ e.item \in redis.expired
         /\ redis.claim[e.item].tok = e.tok \/ ~Has("renew")
         /\ redis' = [redis EXCEPT !.expired = @ \ {e.item}]
         /\ breach' = (breach \/ Breaks(e))
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, dirty, plan, stopped, left, serial,
                   overtook, pushed,
                   written, skipped>>

\* hand_back.lua: SIGTERM, or the renewer of a worker that died alone
HandBack(w) ==
    /\ Works(w) /\ left.crashes > 0 /\ stack[w] # <<>>
    /\ redis' = HandedBack(redis, Range(stack[w]))
    /\ breach' = (breach \/ \E e \in Range(stack[w]) :
                    Breaks(e) /\ redis'.claim[e.item] # redis.claim[e.item])
    /\ left' = [left EXCEPT !.crashes = @ - 1]
    /\ stack' = [stack EXCEPT ![w] = <<>>]
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ dirty' = [dirty EXCEPT ![w] = TRUE]
    /\ plan' = [plan EXCEPT ![w] = NoPlan]
    /\ UNCHANGED <<disk, ledger, draft, base, stopped, serial, overtook, pushed, written, skipped>>

\* kill -9 of worker and renewer; another process takes the worker's place
Crash(w) ==
    /\ left.crashes > 0
    /\ stack[w] # <<>> \/ plan[w] # NoPlan \/ draft[w] # NoDraft  \* others have nothing to lose
    /\ draft' = [draft EXCEPT ![w] = NoDraft]
    /\ left' = [left EXCEPT !.crashes = @ - 1]
    /\ stack' = [stack EXCEPT ![w] = <<>>]
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ dirty' = [dirty EXCEPT ![w] = TRUE]
    /\ plan' = [plan EXCEPT ![w] = NoPlan]
    /\ stopped' = stopped \ {w}
    /\ UNCHANGED <<redis, disk, ledger, base, serial, history>>

Stop(w) ==
    /\ left.stops > 0 /\ Acts(w) /\ stack[w] # <<>>
    /\ left' = [left EXCEPT !.stops = @ - 1]
    /\ stopped' = stopped \cup {w}
    /\ UNCHANGED <<redis, disk, ledger, draft, stack, phase, base, dirty, plan, serial, history>>

Continue(w) ==
    /\ w \in stopped
    /\ stopped' = stopped \ {w}
    /\ UNCHANGED <<redis, disk, ledger, draft, stack, phase, base, dirty, plan, left, serial,
                   history>>

----------------------------------------------------------------------------
(* Time, Redis, the share. *)

Pass(i) ==
    /\ redis.claim[i] # Free /\ i \notin redis.expired /\ ~Renews(i)
    /\ redis' = [redis EXCEPT !.expired = @ \cup {i}]
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, dirty, plan, stopped, left, serial,
                   history>>

PassThoughRenewed(i) ==
    /\ redis.claim[i] # Free /\ i \notin redis.expired /\ Renews(i) /\ left.lates > 0
    /\ redis' = [redis EXCEPT !.expired = @ \cup {i}]
    /\ left' = [left EXCEPT !.lates = @ - 1]
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, dirty, plan, stopped, serial, history>>

Sync ==
    /\ left.losses > 0 /\ disk # redis
    /\ disk' = redis
    /\ UNCHANGED <<redis, ledger, draft, stack, phase, base, dirty, plan, stopped, left, serial,
                   history>>

Snapshot ==
    /\ left.snapshots > 0 /\ disk # redis
    /\ disk' = redis
    /\ left' = [left EXCEPT !.snapshots = @ - 1]
    /\ UNCHANGED <<redis, ledger, draft, stack, phase, base, dirty, plan, stopped, serial, history>>

Restart ==
    /\ left.restarts > 0
    /\ left' = [left EXCEPT !.restarts = @ - 1]
    /\ dirty' = [w \in Workers |-> TRUE]
    /\ UNCHANGED <<redis, disk, ledger, draft, stack, phase, base, plan, stopped, serial, history>>

RestartWithLoss ==
    /\ left.losses > 0 /\ disk # redis
    /\ redis' = disk
    /\ left' = [left EXCEPT !.losses = @ - 1]
    /\ dirty' = [w \in Workers |-> TRUE]
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, plan, stopped, serial, history>>

\* FLUSHALL, or a failover to a replica that lagged: nobody is told.
Forget ==
    /\ left.forgets > 0 /\ disk # redis
    /\ redis' = disk
    /\ left' = [left EXCEPT !.forgets = @ - 1]
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, dirty, plan, stopped, serial, history>>

\* DEL or an eviction: STATE, COMMITS or DONE is gone.
Tear ==
    /\ left.tears > 0
    /\ \/ redis' = [redis EXCEPT !.head = <<>>, !.fence = 0]
       \/ redis' = [redis EXCEPT !.commits = <<>>]
       \/ redis' = [redis EXCEPT !.done = [i \in Items |-> 0]]
    /\ redis' # redis
    /\ left' = [left EXCEPT !.tears = @ - 1]
    /\ UNCHANGED <<disk, ledger, draft, stack, phase, base, dirty, plan, stopped, serial, history>>

\* The ledger matters only to a Redis that forgets.
Forgetful == Losses + Forgets + Tears > 0

\* Projector, as one step.
Project ==
    /\ Forgetful /\ ~Steps /\ \E w \in Workers : Acts(w)
    /\ ledger # redis.commits /\ Prefix(ledger, redis.commits)
    /\ ledger' = redis.commits
    /\ UNCHANGED <<redis, disk, draft, stack, phase, base, dirty, plan, stopped, left, serial,
                   history>>

\* Projector: reads the commits, ...
Draft(w) ==
    /\ Forgetful /\ Steps /\ Works(w) /\ phase[w] = "claim" /\ plan[w] = NoPlan
    /\ Filled(redis) /\ redis.commits # ledger
    /\ draft' = [draft EXCEPT ![w] = [step |-> "read", lines |-> redis.commits, next |-> FALSE]]
    /\ UNCHANGED <<redis, disk, ledger, stack, phase, base, dirty, plan, stopped, left, serial,
                   history>>

\* ... lays the new ledger beside the old one, ...
Lay(w) ==
    /\ Acts(w) /\ draft[w].step = "read"
    /\ draft' = [draft EXCEPT ![w].step = "laid", ![w].next = TRUE]
    /\ UNCHANGED <<redis, disk, ledger, stack, phase, base, dirty, plan, stopped, left, serial,
                   history>>

\* ... takes their turn from all others, ...
TakeTurn(w) ==
    /\ Acts(w) /\ draft[w].step = "laid"
    /\ draft' = [v \in Workers |-> IF v = w THEN [draft[v] EXCEPT !.step = "first"]
                                   ELSE [draft[v] EXCEPT !.next = FALSE]]
    /\ UNCHANGED <<redis, disk, ledger, stack, phase, base, dirty, plan, stopped, left, serial,
                   history>>

\* ... then looks once more at Redis and at what it is to replace, ...
LookAgain(w) ==
    /\ Acts(w) /\ draft[w].step = "first"
    /\ LET lines == draft[w].lines
           told == Prefix(lines, redis.commits) \/ ~Has("again")
           grows == Prefix(ledger, lines) \/ ~Has("grows")
       IN  /\ draft' = [draft EXCEPT ![w] = IF told /\ grows THEN [@ EXCEPT !.step = "looked"]
                                            ELSE NoDraft]
           /\ dirty' = [dirty EXCEPT ![w] = @ \/ (told /\ ~grows)]
    /\ UNCHANGED <<redis, disk, ledger, stack, phase, base, plan, stopped, left, serial, history>>

\* ... and renames, unless another one took its turn.
Rename(w) ==
    /\ Acts(w) /\ draft[w].step = "looked"
    /\ ledger' = IF draft[w].next \/ ~Has("turn") THEN draft[w].lines ELSE ledger
    /\ draft' = [draft EXCEPT ![w] = NoDraft]
    /\ UNCHANGED <<redis, disk, stack, phase, base, dirty, plan, stopped, left, serial, history>>

\* reconcile(): reads both chains; stands still when they contradict each other
ReadLedger(w) ==
    /\ Works(w) /\ dirty[w] /\ plan[w] = NoPlan
    /\ stack[w] = <<>> \/ phase[w] = "turn"
    /\ ~Has("reconcile") \/ Prefix(ledger, redis.commits) \/ Prefix(redis.commits, ledger)
    /\ dirty' = [dirty EXCEPT ![w] = FALSE]
    /\ plan' = [plan EXCEPT ![w] =
         LET ahead == Has("reconcile") /\ Len(ledger) > Len(redis.commits) IN
         IF Torn(redis)
         THEN [NoPlan EXCEPT !.mend = TRUE, !.head = redis.head, !.commits = redis.commits,
                             !.missing = IF ahead THEN ledger ELSE redis.commits]
         ELSE IF ahead
         THEN [NoPlan EXCEPT !.head = redis.head,
                             !.missing = SubSeq(ledger, Len(redis.commits) + 1, Len(ledger))]
         ELSE NoPlan]
    /\ UNCHANGED <<redis, disk, ledger, draft, stack, phase, base, stopped, left, serial, history>>

\* restore.lua finds what it was read from
Restores(w) ==
    IF plan[w].mend
    THEN Torn(redis) /\ ((redis.head = plan[w].head /\ redis.commits = plan[w].commits)
                         \/ ~Has("mend"))
    ELSE (redis.head = plan[w].head \/ ~Has("extend")) /\ (~Torn(redis) \/ ~Has("whole"))

\* restore.lua in mode `extend` or `mend`; then the worker hands back what it holds
Restore(w) ==
    /\ Works(w) /\ plan[w] # NoPlan
    /\ plan' = [plan EXCEPT ![w] = NoPlan]
    /\ IF Restores(w)
       THEN /\ redis' = HandedBack(IF plan[w].mend THEN Mended(redis, plan[w].missing)
                                   ELSE Restored(redis, plan[w].missing), Range(stack[w]))
            /\ stack' = [stack EXCEPT ![w] = <<>>]
            /\ phase' = [phase EXCEPT ![w] = "claim"]
            /\ UNCHANGED dirty
       ELSE /\ dirty' = [dirty EXCEPT ![w] = TRUE]
            /\ UNCHANGED <<redis, stack, phase>>
    /\ UNCHANGED <<disk, ledger, draft, base, stopped, left, serial, history>>

----------------------------------------------------------------------------

Work(w) ==
    \/ Claim(w) \/ AskTurn(w) \/ Fold(w) \/ Complete(w) \/ Refuse(w)
    \/ ReadLedger(w) \/ Restore(w) \/ Lay(w) \/ TakeTurn(w) \/ LookAgain(w) \/ Rename(w)

Next ==
    \/ \E i \in Items : Push(i) \/ PushCopy(i) \/ Skip(i) \/ Pass(i) \/ PassThoughRenewed(i)
    \/ \E w \in Workers : Work(w) \/ CompleteUnanswered(w) \/ Renew(w) \/ HandBack(w)
                          \/ Crash(w) \/ Stop(w) \/ Continue(w) \/ Draft(w)
    \/ Sync \/ Snapshot \/ Restart \/ RestartWithLoss \/ Forget \/ Tear \/ Project

Spec == Init /\ [][Next]_vars

\* Whoever can act does, sooner or later; a stopped worker may stay so for ever.
Fair ==
    /\ Spec
    /\ \A w \in Workers : WF_vars(Work(w))
    /\ WF_vars(\E i \in Items : Push(i))
    /\ WF_vars(\E i \in Items : Pass(i))
    /\ WF_vars(Project)

----------------------------------------------------------------------------
(* What must hold. *)

\* 1. Whatever Redis knows of is waiting, in work or finished.
NoLoss ==
    \A i \in Items : redis.place[i] # 0 =>
        i \in Range(redis.waiting) \/ redis.claim[i] # Free

\* Nothing that could be learned is turned away.
NothingRefusedWrongly ==
    \A i \in Items : redis.done[i] = REFUSED => i \in Bad \cup skipped

\* 2. Once in the chain, and however often it is done again, the same bytes.
ExactlyOnce ==
    /\ \A k, l \in DOMAIN redis.commits :
         redis.commits[k].item = redis.commits[l].item => k = l
    /\ Lacks(redis) \/ \A k \in DOMAIN redis.commits :
                          redis.done[redis.commits[k].item] \notin {0, REFUSED, SKIPPED}
    /\ Cardinality(Learned(ledger)) = Len(ledger)

SameBytes == \A i \in Items : Cardinality(written[i]) <= 1

\* A worker that lost its lease neither commits, refuses, renews nor releases.
Fenced == ~breach

\* 3. One chain, in the order of the pushes.
OneChain ==
    \A k \in DOMAIN redis.commits :
        redis.commits[k].base = IF k = 1 THEN <<>> ELSE redis.commits[k - 1].checkpoint

NeverOvertakes == ~overtook

InOrder ==
    \A k \in DOMAIN redis.commits : k > 1 => redis.commits[k - 1].item < redis.commits[k].item

\* Redis and the ledger never contradict each other.
LedgerAgrees == Prefix(ledger, redis.commits) \/ Prefix(redis.commits, ledger)

\* What was published stays so, and what was committed and what is known while nothing goes wrong.
LedgerGrows == [][Prefix(ledger, ledger')]_vars
ChainGrows == [][Prefix(redis.commits, redis'.commits) \/ left' # left]_vars
NothingVanishes == [][\A i \in Items : Known(redis, i) => Known(redis', i) \/ left' # left]_vars

\* 4. Every item finishes, and the ledger says so.
AllFinish == <>[](\A i \in Items : redis.done[i] # 0)
LedgerFinishes == []<>(ledger = redis.commits)
=============================================================================
