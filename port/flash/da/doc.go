// Package da speaks the second dialogue of a MediaTek phone on the cable: the
// legacy ("V3") protocol of the Download Agent, the program that a flasher
// uploads to the phone's memory and that reads and writes its flash.
//
// The agent itself is the user's: [Open] parses an MTK_AllInOne_DA.bin in both
// container forms and [Container.Choose] finds the entry for a chip.
//
//	box, err := da.Open(f, size)
//	entry, err := box.Choose(info.HWCode, info.HWVer, info.SWVer)
//	… brom.Client.SendDA, JumpDA with entry.Stage1 …
//	agent, err := da.Start(ctx, link, entry, da.StartOptions{…})
//	table, err := agent.PMT(ctx)
//	err = agent.Read(ctx, identity.EMMCUser, 0, 1<<20, sink)
//	err = agent.Write(ctx, cleared, r)      // only what a guard has cleared
//
// The only calls that change flash, [Agent.Write] and [Agent.Format], take an
// identity.Cleared: no caller can write a range that no guard has seen.
//
// Both directions carry a 16-bit sum per packet; a wrong one is an error, and
// [Agent.Read] asks again.
//
// Limits: eMMC dialogues are those of working open tools, byte for byte. The
// NAND write dialogue (command B3) is known by name only: its layout here is our
// reading by analogy with the eMMC write, works against the simulated phone and
// was not tried on hardware; [NANDWriteProven] says so to callers. It writes data,
// or pages with their spare bytes ([Agent.WritePages]), which YAFFS2 needs. DRAM set-up
// from boot ROM mode on the MT6572 (EMI version 0x0B) is unproven too: prefer
// preloader mode, in which DRAM is already up.
//
// Sources: mtkclient 2.1.4 as measured on the wire; the order of steps as in
// public C implementations of the same protocol; error numbers of SP Flash Tool
// from public lists (errors.yaml).
package da
