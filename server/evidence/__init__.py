"""The evidence log, as arithmetic: what is hashed, how it hangs together, how anyone checks it.

Promise: who holds an entry, its proof and a checkpoint can tell, without asking us, whether a single
byte was changed since the checkpoint was signed. Nothing here knows a clock, a disk or a socket; the
one exception is `verify_command`, which reads the file that a person names.

The way of an entry:

    Draft ──entry──▶ envelope + sealed body ──merkle──▶ leaf, root ──checkpoint──▶ signed note
                                                                          │
    verify ◀── package ◀── container (zip) ◀── entries, proofs, pictures ─┤
    verify_voucher ◀── voucher (JSON, PDF) ◀── two entries, two proofs ───┘

`verify` asks `frames` whether pictures and journal tell one story, `history` whether there is one log,
`attested` what outsiders said of it, `credentials` whether copies are copies, `derived` whether files that
were made of entries say the same, `erased_bodies` what was erased, and answers in the words of `report`. Whom
it believes stands in a `trust` file. What outsiders say of a checkpoint is an `attestation`: `timestamp`
checks a token (`tst_info` reads one without a library), `cosignature` a witness's line, `policy` says whose
count. How one key of the log follows from another is a `handover`. `canonical` gives every value its one
spelling; `errors` draws the tree of what can be wrong.

All this needs Python's standard library alone, but for signatures (`ed25519`, `timestamp`), whose libraries
are loaded when they are needed: the same modules are the verifier that lies in every package.
"""
