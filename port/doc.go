// Package port is the main job: it carries a donor's ROM onto a target's.
//
//	job := port.Job{Donor: "nice-rom.zip", Target: "stock/"}
//	res, err := port.Run(ctx, job, "bundle")
//
// It opens both sides (port/rom), says what is known before anything is made
// ([Check]), plans (port/plan), splices (port/splice) and writes the repair log
// (port/report). The bundle's folder appears whole or not at all.
//
// # Refusals
//
// ErrRefused for different storage, ErrTooBig for what outgrows a partition, and
// ErrRefused for every finding that is a blocker, unless Job.Anyway says that a
// person knows better. The rest are findings.
package port
