// Package brom speaks the first dialogue of a MediaTek phone on the cable: the
// one of the boot ROM and of the preloader, which share their commands. It ends
// when a download agent (DA) was uploaded and jumped to; package da takes over.
//
// Example:
//
//	c, err := brom.Connect(ctx, link, brom.DefaultTiming)
//	info, err := c.Identify(ctx)
//	if info.Target.Secure() { … }         // stop: this package has no way around it
//	err = c.StopWatchdog(ctx, brom.MT6572)
//	err = c.SendDA(ctx, addr, image, sigLen)
//	err = c.JumpDA(ctx, addr)
//
// Numbers on the wire are big-endian. Each command byte is echoed, and so are
// addresses, lengths and values; a 16-bit status follows, below 0x100 for good.
//
// Security: the target configuration is read and explained. A phone that asks
// for a signed DA or for authentication is left alone; there is deliberately no
// way around that here.
//
// Limits: the MT6572 and relatives named in [Chips]. The UART rate change, the
// I2C and PMIC commands are not used by a flasher and not implemented.
//
// Sources: the MT6572 preloader's core/download.c as published in several
// device trees, the dialogue of mtkclient 2.1.4 as measured on the wire.
package brom
