------------------------------- MODULE Queue -------------------------------
(***************************************************************************)
(* The queue of workload/queue/scripts, its workers, its Redis that may go *)
(* back in time, and the ledger on the share.  One action is one script or *)
(* one step of a worker; docs/proofs.md says which.                        *)
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
    Skips,      \*   the operator skips an item,
    Copies,     \*   somebody pushes an item once more with plain RPUSH,
    Lates,      \*   a lease expires though its holder lives,
    Unanswered, \*   the reply to a commit is lost
    PushAgain   \* whether items are pushed again after Redis lost them

VARIABLES
    redis,      \* all keys
    disk,       \* the same as of the last fsync of the append-only file
    ledger,     \* output/ledger.jsonl: a sequence of commits
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

vars == <<redis, disk, ledger, stack, phase, base, dirty, plan, stopped, left, serial, breach,
          overtook, pushed, written, skipped>>
history == <<breach, overtook, pushed, written, skipped>>
Symmetry == Permutations(Workers)

Items == 1..N
Free == [tok |-> 0, ser |-> 0]
REFUSED == 1001
SKIPPED == 1002
RESTORED == 1003
NoPlan == [head |-> <<>>, missing |-> <<>>]

Has(guard) == guard \in Guards

Max(S) == CHOOSE x \in S : \A y \in S : y <= x
Range(s) == {s[k] : k \in DOMAIN s}
Without(s, i) == SelectSeq(s, LAMBDA x : x # i)
Prefix(a, b) == Len(a) <= Len(b) /\ SubSeq(b, 1, Len(a)) = a

Init ==
    /\ redis = [waiting |-> <<>>, claim |-> [i \in Items |-> Free], expired |-> {},
                place |-> [i \in Items |-> 0], fence |-> 0, done |-> [i \in Items |-> 0],
                commits |-> <<>>]
    /\ disk = redis
    /\ ledger = <<>>
    /\ stack = [w \in Workers |-> <<>>]
    /\ phase = [w \in Workers |-> "claim"]
    /\ base = [w \in Workers |-> <<>>]
    /\ dirty = [w \in Workers |-> FALSE]
    /\ plan = [w \in Workers |-> NoPlan]
    /\ stopped = {}
    /\ left = [crashes |-> Crashes, stops |-> Stops, restarts |-> Restarts, losses |-> Losses,
               skips |-> Skips, copies |-> Copies, lates |-> Lates, unanswered |-> Unanswered]
    /\ serial = 0
    /\ breach = FALSE
    /\ overtook = FALSE
    /\ pushed = {}
    /\ written = [i \in Items |-> {}]
    /\ skipped = {}

----------------------------------------------------------------------------
(* What the scripts do with the keys. *)

Newest(r) == IF r.commits = <<>> THEN <<>> ELSE r.commits[Len(r.commits)].checkpoint
Known(r, i) == i \in Range(r.waiting) \/ r.claim[i] # Free \/ r.done[i] # 0
First(r, i) ==
    r.place[i] # 0 /\ \A j \in Items : r.place[j] # 0 => r.place[i] <= r.place[j]

Unclaimed(r, i) ==
    [r EXCEPT !.claim[i] = Free, !.expired = @ \ {i}]

Finished(r, i, how) ==
    [Unclaimed(r, i) EXCEPT !.done[i] = how, !.place[i] = 0]

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
         IN  Restored([f EXCEPT !.commits = Append(@, c),
                                !.waiting = Without(@, c.item)], Tail(missing))

----------------------------------------------------------------------------
(* Who may act. *)

Top(w) == stack[w][Len(stack[w])]
Popped(w) == SubSeq(stack[w], 1, Len(stack[w]) - 1)
Acts(w) == w \notin stopped
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
    /\ UNCHANGED <<disk, ledger, stack, phase, base, dirty, plan, stopped, left, serial, breach,
                   overtook, written, skipped>>

PushCopy(i) ==
    /\ left.copies > 0 /\ Known(redis, i)
    /\ redis' = [redis EXCEPT !.waiting = Append(@, i)]
    /\ left' = [left EXCEPT !.copies = @ - 1]
    /\ UNCHANGED <<disk, ledger, stack, phase, base, dirty, plan, stopped, serial, history>>

Skip(i) ==
    /\ left.skips > 0 /\ Known(redis, i) /\ redis.done[i] = 0
    /\ redis' = [Finished(redis, i, SKIPPED) EXCEPT !.waiting = Without(@, i)]
    /\ left' = [left EXCEPT !.skips = @ - 1]
    /\ skipped' = skipped \cup {i}
    /\ UNCHANGED <<disk, ledger, stack, phase, base, dirty, plan, stopped, serial, breach, overtook,
                   pushed, written>>

----------------------------------------------------------------------------
(* The worker. *)

Claim(w) ==
    /\ Acts(w) /\ Reconciled(w) /\ stack[w] = <<>>
    /\ LET r == Dropped(Reaped(redis)) IN
       IF r.waiting = <<>>
       THEN redis' = r /\ UNCHANGED <<stack, serial>>
       ELSE LET i == r.waiting[1]
                g == Granted([r EXCEPT !.waiting = Tail(@)], i)
            IN  /\ redis' = g
                /\ stack' = [stack EXCEPT ![w] = <<[item |-> i, tok |-> g.claim[i].tok,
                                                   ser |-> serial + 1]>>]
                /\ serial' = serial + 1
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ UNCHANGED <<disk, ledger, base, dirty, plan, stopped, left, history>>

\* claim.lua with `holding`: its turn, an earlier item that came back, or wait
AskTurn(w) ==
    /\ Acts(w) /\ stack[w] # <<>> /\ phase[w] = "claim"
    /\ LET r == Reaped(redis)
           e == Top(w)
           firsts == {i \in Items : First(r, i)}
       IN
       IF r.claim[e.item].tok # e.tok
       THEN /\ redis' = r
            /\ stack' = [stack EXCEPT ![w] = Popped(w)]
            /\ UNCHANGED <<phase, base, serial>>
       ELSE IF e.item \in firsts
       THEN /\ redis' = r
            /\ phase' = [phase EXCEPT ![w] = "turn"]
            /\ base' = [base EXCEPT ![w] = Newest(r)]
            /\ UNCHANGED <<stack, serial>>
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
                     /\ UNCHANGED <<phase, base>>
            ELSE redis' = r /\ UNCHANGED <<stack, phase, base, serial>>
    /\ UNCHANGED <<disk, ledger, dirty, plan, stopped, left, history>>

\* Fold and write: nothing anybody else can see
Fold(w) ==
    /\ Acts(w) /\ phase[w] = "turn" /\ Reconciled(w)
    /\ phase' = [phase EXCEPT ![w] = "fold"]
    /\ UNCHANGED <<redis, disk, ledger, stack, base, dirty, plan, stopped, left, serial, history>>

Commits(w) ==
    LET e == Top(w) IN
    /\ redis.claim[e.item].tok = e.tok \/ ~Has("complete")
    /\ First(redis, e.item) \/ (~Has("order") /\ redis.place[e.item] # 0)
    /\ Newest(redis) = base[w] \/ ~Has("head")

Committed(w) ==
    LET e == Top(w)
        checkpoint == Append(base[w], e.item)
    IN  /\ redis' = [Finished(redis, e.item, e.tok) EXCEPT !.commits =
                        Append(@, [item |-> e.item, base |-> base[w], checkpoint |-> checkpoint])]
        /\ written' = [written EXCEPT ![e.item] = @ \cup {checkpoint}]
        /\ breach' = (breach \/ Breaks(e))
        /\ overtook' = (overtook \/ ~First(redis, e.item))
        /\ UNCHANGED <<pushed, skipped>>

\* complete.lua: committed, committed before, or lost: the worker goes on alike
Complete(w) ==
    /\ Acts(w) /\ phase[w] = "fold" /\ Top(w).item \notin Bad /\ ~Late(w, Top(w).item)
    /\ IF Commits(w) THEN Committed(w) ELSE UNCHANGED <<redis, history>>
    /\ stack' = [stack EXCEPT ![w] = Popped(w)]
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ UNCHANGED <<disk, ledger, base, dirty, plan, stopped, left, serial>>

\* The commit happens, the worker does not hear of it and asks again.
CompleteUnanswered(w) ==
    /\ Acts(w) /\ phase[w] = "fold" /\ Top(w).item \notin Bad /\ ~Late(w, Top(w).item)
    /\ left.unanswered > 0 /\ Commits(w)
    /\ Committed(w)
    /\ left' = [left EXCEPT !.unanswered = @ - 1]
    /\ UNCHANGED <<disk, ledger, stack, phase, base, dirty, plan, stopped, serial>>

Refuse(w) ==
    /\ Acts(w) /\ stack[w] # <<>>
    /\ LET e == Top(w) IN
       /\ e.item \in Bad \/ (phase[w] = "fold" /\ Late(w, e.item))
       /\ IF redis.claim[e.item].tok = e.tok
          THEN /\ redis' = Finished(redis, e.item, REFUSED)
               /\ breach' = (breach \/ Breaks(e))
          ELSE UNCHANGED <<redis, breach>>
    /\ stack' = [stack EXCEPT ![w] = Popped(w)]
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ UNCHANGED <<disk, ledger, base, dirty, plan, stopped, left, serial, overtook, pushed,
                   written, skipped>>

\* renew.lua
Renew(w) ==
    /\ Acts(w)
    /\ \E e \in Range(stack[w]) :
         /\ e.item \in redis.expired
         /\ redis.claim[e.item].tok = e.tok \/ ~Has("renew")
         /\ redis' = [redis EXCEPT !.expired = @ \ {e.item}]
         /\ breach' = (breach \/ Breaks(e))
    /\ UNCHANGED <<disk, ledger, stack, phase, base, dirty, plan, stopped, left, serial, overtook, pushed,
                   written, skipped>>

\* hand_back.lua: SIGTERM, or the renewer of a worker that died alone
HandBack(w) ==
    /\ Acts(w) /\ left.crashes > 0 /\ stack[w] # <<>>
    /\ redis' = HandedBack(redis, Range(stack[w]))
    /\ breach' = (breach \/ \E e \in Range(stack[w]) :
                    Breaks(e) /\ redis'.claim[e.item] # redis.claim[e.item])
    /\ left' = [left EXCEPT !.crashes = @ - 1]
    /\ stack' = [stack EXCEPT ![w] = <<>>]
    /\ phase' = [phase EXCEPT ![w] = "claim"]
    /\ dirty' = [dirty EXCEPT ![w] = TRUE]
    /\ plan' = [plan EXCEPT ![w] = NoPlan]
    /\ UNCHANGED <<disk, ledger, base, stopped, serial, overtook, pushed, written, skipped>>

\* kill -9 of worker and renewer; another process takes the worker's place
Crash(w) ==
    /\ left.crashes > 0 /\ (stack[w] # <<>> \/ plan[w] # NoPlan)  \* others have nothing to lose
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
    /\ UNCHANGED <<redis, disk, ledger, stack, phase, base, dirty, plan, serial, history>>

Continue(w) ==
    /\ w \in stopped
    /\ stopped' = stopped \ {w}
    /\ UNCHANGED <<redis, disk, ledger, stack, phase, base, dirty, plan, left, serial, history>>

----------------------------------------------------------------------------
(* Time, Redis, the share. *)

Pass(i) ==
    /\ redis.claim[i] # Free /\ i \notin redis.expired /\ ~Renews(i)
    /\ redis' = [redis EXCEPT !.expired = @ \cup {i}]
    /\ UNCHANGED <<disk, ledger, stack, phase, base, dirty, plan, stopped, left, serial, history>>

PassThoughRenewed(i) ==
    /\ redis.claim[i] # Free /\ i \notin redis.expired /\ Renews(i) /\ left.lates > 0
    /\ redis' = [redis EXCEPT !.expired = @ \cup {i}]
    /\ left' = [left EXCEPT !.lates = @ - 1]
    /\ UNCHANGED <<disk, ledger, stack, phase, base, dirty, plan, stopped, serial, history>>

Sync ==
    /\ left.losses > 0 /\ disk # redis
    /\ disk' = redis
    /\ UNCHANGED <<redis, ledger, stack, phase, base, dirty, plan, stopped, left, serial, history>>

Restart ==
    /\ left.restarts > 0
    /\ left' = [left EXCEPT !.restarts = @ - 1]
    /\ dirty' = [w \in Workers |-> TRUE]
    /\ UNCHANGED <<redis, disk, ledger, stack, phase, base, plan, stopped, serial, history>>

RestartWithLoss ==
    /\ left.losses > 0 /\ disk # redis
    /\ redis' = disk
    /\ left' = [left EXCEPT !.losses = @ - 1]
    /\ dirty' = [w \in Workers |-> TRUE]
    /\ UNCHANGED <<disk, ledger, stack, phase, base, plan, stopped, serial, history>>

\* Projector: the ledger becomes what some projector has read so far.  It matters only to a Redis
\* that forgets.
Project ==
    /\ Losses > 0 /\ \E w \in Workers : Acts(w)
    /\ \E k \in 0..Len(redis.commits) : ledger' = SubSeq(redis.commits, 1, k)
    /\ ledger' # ledger
    /\ UNCHANGED <<redis, disk, stack, phase, base, dirty, plan, stopped, left, serial, history>>

\* The last word of the last projector.
ProjectAll ==
    /\ Losses > 0 /\ \E w \in Workers : Acts(w)
    /\ ledger # redis.commits
    /\ ledger' = redis.commits
    /\ UNCHANGED <<redis, disk, stack, phase, base, dirty, plan, stopped, left, serial, history>>

\* reconcile(): reads both chains; stands still when they contradict each other
ReadLedger(w) ==
    /\ Acts(w) /\ dirty[w] /\ plan[w] = NoPlan
    /\ stack[w] = <<>> \/ phase[w] = "turn"
    /\ ~Has("reconcile") \/ Prefix(ledger, redis.commits) \/ Prefix(redis.commits, ledger)
    /\ dirty' = [dirty EXCEPT ![w] = FALSE]
    /\ plan' = [plan EXCEPT ![w] =
         IF Has("reconcile") /\ Len(ledger) > Len(redis.commits)
         THEN [head |-> Newest(redis),
               missing |-> SubSeq(ledger, Len(redis.commits) + 1, Len(ledger))]
         ELSE NoPlan]
    /\ UNCHANGED <<redis, disk, ledger, stack, phase, base, stopped, left, serial, history>>

\* restore.lua in mode `extend`; then the worker hands back what it holds
Restore(w) ==
    /\ Acts(w) /\ plan[w] # NoPlan
    /\ plan' = [plan EXCEPT ![w] = NoPlan]
    /\ IF Newest(redis) = plan[w].head \/ ~Has("extend")
       THEN /\ redis' = HandedBack(Restored(redis, plan[w].missing), Range(stack[w]))
            /\ stack' = [stack EXCEPT ![w] = IF @ = <<>> THEN @ ELSE Popped(w)]
            /\ phase' = [phase EXCEPT ![w] = "claim"]
            /\ UNCHANGED dirty
       ELSE /\ dirty' = [dirty EXCEPT ![w] = TRUE]
            /\ UNCHANGED <<redis, stack, phase>>
    /\ UNCHANGED <<disk, ledger, base, stopped, left, serial, history>>

----------------------------------------------------------------------------

Work(w) ==
    \/ Claim(w) \/ AskTurn(w) \/ Fold(w) \/ Complete(w) \/ Refuse(w)
    \/ ReadLedger(w) \/ Restore(w)

Next ==
    \/ \E i \in Items : Push(i) \/ PushCopy(i) \/ Skip(i) \/ Pass(i) \/ PassThoughRenewed(i)
    \/ \E w \in Workers : Work(w) \/ CompleteUnanswered(w) \/ Renew(w) \/ HandBack(w)
                          \/ Crash(w) \/ Stop(w) \/ Continue(w)
    \/ Sync \/ Restart \/ RestartWithLoss \/ Project

Spec == Init /\ [][Next]_vars

\* Whoever can act does, sooner or later; a stopped worker may stay so for ever.
Fair ==
    /\ Spec
    /\ \A w \in Workers : WF_vars(Work(w))
    /\ WF_vars(\E i \in Items : Push(i))
    /\ WF_vars(\E i \in Items : Pass(i))
    /\ WF_vars(ProjectAll)

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
    /\ \A k \in DOMAIN redis.commits : redis.done[redis.commits[k].item] \notin {0, REFUSED, SKIPPED}

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

\* 4. Every item finishes, and the ledger says so.
AllFinish == <>[](\A i \in Items : redis.done[i] # 0)
LedgerFinishes == []<>(ledger = redis.commits)  \* a late projector may shorten it for a while
=============================================================================
