//go:build !linux

package usb

import "go.bug.st/serial"

// openTerminal opens a pseudo-terminal like any serial port.
func openTerminal(name string) (Conn, error) {
	s, err := serial.Open(name, &serial.Mode{BaudRate: 921600, DataBits: 8})
	if err != nil {
		return nil, err
	}
	return &serialConn{port: s}, nil
}
