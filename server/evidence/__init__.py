"""The evidence log, as arithmetic: what is hashed, how it hangs together, how anyone checks it.

Promise: who holds an entry, its proof and a checkpoint can tell, without asking us, whether a single
byte was changed since the checkpoint was signed. Nothing here knows a clock, a disk or a socket; the
one exception is `verify_command`, which reads the file that a person names.

The way of an entry:

    Draft ──entry──▶ envelope + sealed body ──merkle──▶ leaf, root ──checkpoint──▶ signed note
                                                                          │
    verify ◀── package ◀── container (zip) ◀── entries, proofs, pictures ─┤
    verify_voucher ◀── voucher (JSON, PDF) ◀── two entries, two proofs ───┘

`verify` asks `frames` whether pictures and journal tell one story and `history` whether there is one log, and
answers in the words of `report`. `canonical` gives every value its one spelling; `errors` draws the tree of
what can be wrong.
"""
