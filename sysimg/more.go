package sysimg

// More holds the layouts of the NAND containers.
type More struct{}

// moreContainers lists the containers besides sparse and ext4.
func moreContainers() []container { return nil }
