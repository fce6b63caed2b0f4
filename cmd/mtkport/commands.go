package main

import "github.com/urfave/cli/v2"

// commands lists what mtkport can do, in the order its help shows.
func commands() []*cli.Command {
	return []*cli.Command{
		bootCommand(),
		compareCommand(),
		completionCommand(),
		demoCommand(),
		deviceCommand(),
		flashCommand(),
		inspectCommand(),
		logoCommand(),
		kernelCommand(),
		manCommand(),
		ramdiskCommand(),
		planCommand(),
		portCommand(),
		rulesCommand(),
		scatterCommand(),
		simCommand(),
		systemCommand(),
		versionCommand(),
	}
}
