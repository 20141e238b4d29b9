// Command outflow finds data exfiltration in logs that a company already has.
package main

import (
	"os"

	"outflow/jobs"
)

func main() { os.Exit(jobs.Main(os.Args[1:])) }
