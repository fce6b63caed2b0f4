// Package compare tells, before anything is flashed, what of a donor's ROM will
// not work on the target, and what proves it.
//
//	r, err := compare.Compare(ctx, donor, target, compare.Options{})
//	fmt.Println(r.Verdict)
//	for _, f := range r.Findings {
//		fmt.Println(f.Severity, f.Code, f.Text, "→", f.Symptom)
//	}
//
// The facts of each side are gathered once; independent checks look at them.
// Every finding has a stable code ([Codes] lists them), a weight, evidence with
// side, file and, where a byte can be named, offset, the symptom a user would
// see, and what to do: mostly the id of the rule of port/plan that settles it.
//
// # Weights
//
// A blocker cannot be settled by choosing files: another storage, another chip,
// contents that outgrow a partition. A risk shows on the phone unless the rule
// that it names is followed, which mtkport port does. A note is worth knowing.
//
// # What is read
//
// Sizes first. Contents are read where both sides have a path that a hardware
// rule is about, and of the other shared paths at most 64 MiB in all; kernels,
// lk, ramdisks and camera libraries are read whole. A side that lacks a part is
// no fault: checks that need it are left out, and part-missing names it.
//
// # Limits
//
// It reads files, not phones: two firmwares of one model may differ in parts
// that no file names. Java is compared by names of jars only.
//
// Sources: measured ports of MT6572 phones (Lenovo A516, Coolpad 8297), kernels
// and device trees that bootimg/kernel and port/plan cite.
package compare
