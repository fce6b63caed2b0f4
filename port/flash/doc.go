// Package flash writes firmware to an MT6572 phone on the cable, under a guard
// and with a journal: nothing is written before a backup, nothing that makes the
// phone itself is ever written, and a cable pulled at any byte costs a minute.
//
//	dev, err := flash.Connect(ctx, cfg)
//	set, err := flash.OpenFolder("firmware")      // scatter, images, manifest
//	res, err := flash.Write(ctx, cfg, set, flash.Options{Dir: ".", Confirm: ask})
//
// A flash goes: identify, read the phone's own layout (MBR, EBRs, PMT) and
// reconcile it with the scatter, back up, show and ask, write, read back, prove
// that identity is as before. [Restore] goes the same way with a backup of the
// same phone as its source.
//
// # What lies on disk
//
// Everything about one phone is in DIR/phone-ID:
//
//	phone.json                       who it is
//	flash-PLAN/plan.json             what is to be written: never changed once written
//	flash-PLAN/journal               what was done: see [Journal]
//	flash-PLAN/backup/               one file for each range, backup.json when complete
//	flash-PLAN/log.txt               the story, when all is done
//
// # What a kill leaves
//
// Each step is on disk before the next begins, so the same command goes on where
// it stopped:
//
//   - before plan.json has its name: nothing was written, the next run begins anew;
//   - during the backup: whole chunks are kept, a torn one is read again;
//   - after an intent, before its "verified": the phone's range is unknown; it is
//     read back, and written again unless it is already right;
//   - after "verified": the range is skipped, the last one is read once more.
//
// Limits: eMMC and NAND phones with an MT6572 or MT6571. The NAND write dialogue
// was not tried on hardware, so a NAND phone wants [Options.UnprovenNAND]. No
// repartitioning: a bundle whose layout is not the phone's is refused.
package flash
