// Loads compose files as `docker compose` does, with the library that it is made of: schema,
// variables, merging, consistency. Prints the services' names, or what is wrong.
//
//	compose FILE...
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:], cli.WithOsEnv)
	if err == nil {
		var project, failed = options.LoadProject(context.Background())
		if err = failed; err == nil {
			for _, name := range project.ServiceNames() {
				fmt.Println(name)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
