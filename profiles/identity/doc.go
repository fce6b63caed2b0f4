// Package identity knows which bytes make a phone itself, and guards them.
//
// [Classify] maps the many spellings of a partition name (NVRAM, nvram,
// __NODL_NVRAM; ANDROID, android, system) to one canonical name and a [Class].
// The table is data: names.yaml, embedded. A name that it lacks is guarded.
//
// A [Guard] is made of the ranges of one phone's own layout, in physical bytes
// of each region. It is the only maker of [Cleared], the value that a writer to
// the wire asks for:
//
//	g, err := layout.Guard(geometry)           // profiles/scatter
//	c, err := g.Clear(identity.EMMCUser, off, n, "system.img of the bundle")
//	// da.Write(ctx, c, r)
//
// The rule is default deny. A write is cleared only when, widened to whole
// blocks (512 bytes on eMMC, the erase block on NAND), it lies inside one
// partition of class firmware, modem or user, and meets no other partition.
// Boot regions, RPMB, gaps, tables, unknown names and everything of class
// identity, bootloader or reserved are refused, with the names and ranges.
//
// [Guard.ClearRestore] is the second door: it writes a backup back, and asks for
// [SamePhone], which only [Match] makes, from hardware ids that agree and of
// which one is unique to the phone. Boot loaders want [WithBootloader] on top.
//
// Limits: the guard knows ranges, not contents; identity inside userdata
// (data/nvram) is guarded only by not writing userdata. Sources of the table:
// partition tables of public MT6572, MT6582, MT6589, MT6592 and MT6735 firmware,
// MediaTek kernel, lk and preloader sources.
package identity
