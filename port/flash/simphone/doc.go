// Package simphone is a simulated MT6572 phone on a cable: boot ROM or
// preloader, download agent stages 1 and 2, an eMMC or a NAND with bad blocks,
// faults on demand, and its own record of every byte that was written to it.
//
//	ph := simphone.New(simphone.EMMCProfile(256<<20), simphone.NewMemory(…))
//	host, device := usb.Pipe()
//	go ph.Serve(ctx, device)
//
// [Server] puts it on a TCP port or a pseudo-terminal, and lets it leave and come
// back as a phone does. The storage may be memory or a folder of sparse files
// ([OpenFolder]) in the form of a box dump: boot1.bin, boot2.bin, rpmb.bin,
// user.bin, or nand.bin with spare bytes.
//
// It reads a byte stream, never "one write is one message", and answers each
// element at once. The public mtkclient works against it.
//
// A [Hook] sees every element of the dialogue, both ways, and may cut the cable
// inside it, stall, answer short, spoil a checksum or the data. [ParseFaults]
// makes hooks of text for the command line.
//
// What is real: the dialogues of packages brom and da, whose wire structures it
// shares. What is not: the agent's code is not run (any upload is taken for an
// agent), line rates, DRAM. The NAND write dialogue is package da's own reading.
//
// Sources: the MT6572 preloader's start-command routine, the dialogue measured
// between mtkclient and a responder.
package simphone
