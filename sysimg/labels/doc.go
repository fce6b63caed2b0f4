// Package labels gives new files what Android's own build gives them: owner,
// mode and capabilities by path ([FSConfig]), and SELinux labels by the rules
// of a file_contexts file ([ParseContexts]). A port that adds files needs both:
// an enforcing kernel does not start a system whose files lack labels.
//
//	own := labels.FSConfig("system/bin/vold", false, 19)
//	ctx, err := labels.ParseContexts(b, "file_contexts")
//	label, ok := ctx.Label("/system/bin/vold", tree.Regular)
//
// Sources: system/core/include/private/android_filesystem_config.h of Android
// 4.2 to 5.1 with MediaTek's additions; libselinux's label_file.c for the order
// in which rules count. Limits: the binary file_contexts.bin of Android 7 is
// refused by name.
package labels
