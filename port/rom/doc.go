// Package rom opens anything as a ROM: a set of partition images that belong
// together.
//
//	r, err := rom.Open(ctx, "A516_S117")
//	defer r.Close()
//	r.System.Lookup("build.prop") // as the phone would see it
//
// It takes
//
//   - a firmware folder: a scatter file and the images it names;
//   - a flashable zip, or its unpacked folder: system/ and an updater-script,
//     which is carried out on the tree (links, owners, modes, labels, deletions);
//   - a folder or zip with boot.img and system.img, sparse or raw;
//   - a folder tree with system/ and a boot.img or its parts (image.hdr, zImage,
//     ram_disk.gz and their MediaTek headers), as public repositories keep them;
//   - a single image.
//
// Nothing is unpacked to disk but a deflated image inside a zip, which goes to a
// temporary file until Close.
//
// # Owners and modes
//
// An image has them. A package's script says them; a file that no call of it
// names gets what recovery gives (root, 0644, folders 0755). A folder has lost
// them: it gets what Android's build gives (fs_config).
//
// # Limits
//
// Packages that patch what is on the phone (incremental, block) are refused by
// name. Conditions in a script that only a phone can answer are not taken, and
// noted. At most 200,000 files and 32 GiB.
package rom
