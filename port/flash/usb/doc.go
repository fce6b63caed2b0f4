// Package usb is the wire to a phone: it finds the port of a MediaTek boot ROM,
// preloader or download agent, waits for it, opens it and moves bytes over it
// with a deadline on everything.
//
// Three kinds of address are understood by [Parse]:
//
//	auto, or empty          the first port with a MediaTek download-mode USB id
//	tcp:HOST:PORT           a remote bench, or a simulated phone
//	/dev/ttyACM0, COM7, …   a serial port or a pseudo-terminal by name
//
// Example:
//
//	w := usb.Waiter{Addr: usb.Auto, Every: 50 * time.Millisecond}
//	link, err := w.Open(ctx)
//	…
//	defer link.Close()
//	err = link.Write(ctx, []byte{0xA0}, time.Second)
//
// A phone on its way from boot ROM over preloader to download agent leaves the
// bus and comes back under another port name. Ports are therefore matched by
// USB ids and by the place on the bus (the hub path), never by name.
//
// Limits: serial ports only (CDC-ACM). The boot ROM, the preloader and the
// legacy download agent of the MT6572 are all of that class. On Windows the
// ids are not read; a port must be named there, or be the only one.
//
// Sources: mtkclient's list of USB ids, the MT6572 preloader's cust_usb.h, the
// documentation of go.bug.st/serial, Linux' sysfs.
package usb
