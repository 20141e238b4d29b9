// Command outflow finds which data left a company, from logs it already has.
package main

import (
	"os"

	"outflow/jobs"
)

func main() { os.Exit(jobs.Main(os.Args[1:])) }
