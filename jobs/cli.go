// Package jobs runs outflow: its command line, its nightly and hourly jobs, and all of
// its concurrency (Fold, ahead, together).
//
// A job finds the logs of its inputs (sources.go), decodes and folds them in workers
// (fold.go), merges what they folded (ahead.go) into the partitions of the state
// (state.go, partitions.go), has the days judged (judge.go) and writes the reports
// (report.go).
package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// Exit codes. A scheduler must not mistake a night with findings for a night that
// failed, so findings alone exit with 0.
const (
	exitOK       = 0
	exitInternal = 1
	exitConfig   = 2 // usage or configuration: running again does not help
	exitPartial  = 3 // with strict: a log was not read, or only in part
	exitNoInput  = 4 // with require-input: there was nothing to read
	// exitEnvironment: another run has the state; the disk is full; S3 does not answer; a signal
	// ended the run. The same command may work later.
	exitEnvironment = 5
	exitFindings    = 10
	exitPipe        = 128 + 13 // nobody reads stdout any more; what shells expect after SIGPIPE
)

// An exit is an error with its own exit code.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string { return e.err.Error() }
func (e exit) Unwrap() error { return e.err }

// A program is one invocation of outflow, with all that it may touch outside.
type program struct {
	stdout, stderr io.Writer
	env            func(string) (string, bool)
	environ        func() []string // os.Environ; nil: names are not checked
	now            func() time.Time
	limit          func(int64) int64 // debug.SetMemoryLimit
	collect        func(int) int     // debug.SetGCPercent
	called         string            // how the program was called, where it is not on the path
	ctx            context.Context
	terminal
	global
	hooks

	// What a command says of itself when it begins.
	settings []settingFlag         // made for the first command that has them
	where    []string              // the flags with which another command finds the reports and the state of this one
	scanned  lastRun               // what a scan must remember of its command line
	written  func(uri string) bool // Config.written; nil: there is no configuration
	json     bool                  // results are printed as JSON
	running  bool                  // the command line was valid

	// What is kept while it runs.
	trace       *trace
	noted       []string       // notes that were printed
	lost        error          // why the run had to give the state up
	requests    store.Requests // for logs and their listings
	secondReads atomic.Int64   // see transfer
}

// A terminal says where the output goes.
type terminal struct {
	tty         bool // stderr is a terminal
	stderrWidth int  // of that terminal, in cells; 0: no terminal
	width       int  // of the terminal on stdout; 0: no terminal
	colour      bool
}

// global are the flags of every command.
type global struct {
	configFile string
	quiet      bool
	logFormat  string // one of logFormats
	verbose    bool   // list each fault of the inputs
}

// hooks are what only tests set.
type hooks struct {
	wrap     func(store.Store) store.Store // each store
	beat     time.Duration                 // store.Claim.Beat
	interval time.Duration                 // quietInterval
	patience time.Duration                 // notifyLimit
}

// A pipe is stdout, which its reader may close.
type pipe struct {
	to   io.Writer
	lost error // the first error of writing to it that is not errPipe
}

// errPipe is the error of writing to a pipe that nobody reads.
var errPipe = errors.New("nobody reads the output")

func (p *pipe) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = errPipe
	} else if p.lost == nil {
		p.lost = err
	}
	return n, err
}

// Main runs the command line and returns the exit code.
func Main(args []string) int { return mainOf(args, &program{}) }

// mainOf is Main with a program that touches what the process may touch, and what p says.
func mainOf(args []string, p *program) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a night does not end because nobody reads its summary
	p.stdout, p.stderr, p.env, p.environ, p.now, p.ctx = &pipe{to: os.Stdout}, os.Stderr, os.LookupEnv, os.Environ, time.Now, ctx
	if len(os.Args) > 0 && strings.Contains(os.Args[0], "/") {
		p.called = shellWord(os.Args[0])
	}
	p.limit, p.collect = debug.SetMemoryLimit, debug.SetGCPercent
	defer p.boundGarbage()()
	if fd := int(os.Stderr.Fd()); term.IsTerminal(fd) {
		p.tty = true
		p.stderrWidth, _, _ = term.GetSize(fd)
	}
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) {
		p.width, _, _ = term.GetSize(fd)
		p.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	} else {
		p.width, _ = strconv.Atoi(os.Getenv("COLUMNS")) // 0 by default: nothing is cut
	}
	return p.run(args)
}

func (p *program) run(args []string) (code int) {
	defer func() { // the runtime would exit with the code of wrong usage
		if fault := recover(); fault != nil {
			fmt.Fprintf(p.stderr, "outflow: %v (a fault in outflow: please report it)\n%s", fault, debug.Stack())
			code = exitInternal
		}
	}()
	root := p.root()
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	stop := p.profiled(root)
	err := root.ExecuteContext(p.ctx)
	if serr := stop(); err == nil {
		err = serr
	}
	if out, ok := p.stdout.(*pipe); ok && err == nil {
		err = out.lost // of a line whose writing nobody looked at
	}
	if err == nil {
		return exitOK
	}
	if p.lost != nil && errors.Is(err, context.Canceled) {
		err = p.lost
	}
	code = p.exitCode(err)
	switch {
	case code == exitPipe:
		return code
	case code == exitEnvironment && p.ctx.Err() != nil && errors.Is(err, context.Canceled):
		err = errors.New("interrupted: what is unfinished was not saved: run it again, or the next run does it")
	}
	p.say(slog.LevelError, err.Error(), "exit_code", code)
	return code
}

// exitCode returns the exit code of a run that ends with err.
func (p *program) exitCode(err error) int {
	var coded exit
	var config configError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, errPipe):
		return exitPipe
	case p.ctx.Err() != nil && errors.Is(err, context.Canceled), store.IsFault(err):
		return exitEnvironment
	case errors.As(err, &config), !p.running:
		return exitConfig
	}
	return exitInternal
}

// root builds the command line. Flags are bound to values of this call, so nothing
// outlives it.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "outflow",
		Short: "find data exfiltration in logs that you already have",
		Long: "outflow reads cloud API, proxy, DNS, network and endpoint logs, compares every user and\n" +
			"host with their own past, and reports which data left.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Example: "  outflow scan ~/case-4711/logs            # a folder, without configuration\n" +
			"  outflow inspect s3://company-logs/ --config-snippet > outflow.yaml\n" +
			"  outflow run nightly --config outflow.yaml\n" +
			"  outflow show 5fdf8cf7                    # the records behind a finding",
		Version: version(),
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("outflow {{.Version}}\n")
	root.PersistentFlags().BoolVarP(&p.quiet, "quiet", "q", false, "no progress and no summary")
	format, ok := p.env("OUTFLOW_LOG_FORMAT")
	if !ok {
		format = logFormats[0]
	}
	root.PersistentFlags().StringVar(&p.logFormat, "log-format", format, "format of messages on stderr: `text or json` (OUTFLOW_LOG_FORMAT)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if words := c.Flags().Args(); len(words) > 0 && c.HasAvailableSubCommands() {
			return usageError(c, words, err) // the flag may be one of the command that was meant
		}
		hint := ""
		if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
			hint = didYouMean("--"+name, flagNames(c))
		}
		if number := new(strconv.NumError); errors.As(err, &number) {
			err = errors.New(strings.Replace(err.Error(), number.Error(), "want a number", 1))
		}
		return configError{fmt.Errorf("%w: see %s --help%s", err, c.CommandPath(), hint)}
	})
	root.AddCommand(p.runCommand(), p.scanCommand(), p.backfillCommand(), p.catCommand(), p.inspectCommand(), p.sourcesCommand(),
		p.showCommand(), p.explainCommand(), p.timelineCommand(), p.topCommand(), p.suppressCommand(), p.tuneCommand(), p.stateCommand(), p.stageCommand(), p.listCommand(), p.rulesCommand(), p.configCommand(), p.docsCommand(), p.versionCommand())
	root.CompletionOptions.HiddenDefaultCmd = false
	if p.width > 0 {
		usage := strings.ReplaceAll(root.UsageTemplate(), "FlagUsages", fmt.Sprintf("FlagUsagesWrapped %d", p.width))
		if p.width < 80 {
			usage = strings.ReplaceAll(usage, ` for more information`, "\nfor more information")
		}
		root.SetUsageTemplate(usage)
		root.InitDefaultCompletionCmd()
		p.fitHelp(root)
	}
	p.started(root)
	checkArguments(root)
	return root
}

// checkArguments makes a command and its subcommands say plainly which arguments they want.
func checkArguments(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, words []string) error {
			if err := args(c, words); err != nil {
				return usageError(c, words, err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		checkArguments(sub)
	}
}

// usageError says what is wrong with the words of a command line, which err refuses.
func usageError(c *cobra.Command, words []string, err error) error {
	wants, hint := c.CommandPath(), ""
	_, form, _ := strings.Cut(c.Use, " ")
	switch {
	case len(words) > 0 && c.HasAvailableSubCommands():
		err = fmt.Errorf("unknown command %q", strings.Join(append(strings.Fields(c.CommandPath())[1:], words[0]), " "))
		if hint = didYouMean(words[0], commandNames(c)); hint == "" {
			hint = didYouMean(words[0], commandNames(c.Root()))
		}
		for _, other := range c.Root().Commands() {
			if slices.Contains(append(commandNames(other), other.ValidArgs...), words[0]) {
				hint = "; did you mean " + other.CommandPath() + " " + words[0] + "?"
			}
		}
	case strings.HasPrefix(err.Error(), "unknown command"):
		err = fmt.Errorf("%s takes no argument, and %q is one", wants, words[0])
	case strings.Contains(err.Error(), " arg(s), "):
		err = fmt.Errorf("want %s %s, not %s", wants, form, counted(len(words), "argument"))
	}
	return configError{fmt.Errorf("%w: see %s --help%s", err, wants, hint)}
}

// checkPeriod makes a command say plainly which of the flags that name its days do not go
// together.
func checkPeriod(c *cobra.Command) {
	args := c.Args
	c.Args = func(c *cobra.Command, words []string) error {
		set := slices.DeleteFunc([]string{"day", "from", "at"}, func(name string) bool { return !c.Flags().Changed(name) })
		switch from, to := c.Flags().Changed("from"), c.Flags().Changed("to"); {
		case len(set) > 1:
			return fmt.Errorf("--%s and --%s exclude each other", set[0], set[1])
		case from && !to:
			return errors.New("--from needs --to")
		case to && !from:
			return errors.New("--to needs --from")
		case args == nil:
			return nil
		}
		return args(c, words)
	}
}

// fitHelp breaks the help of a command and its subcommands for the terminal.
func (p *program) fitHelp(c *cobra.Command) {
	c.Long = filled(cmp.Or(c.Long, c.Short), p.width)
	used := len("  ") + c.NamePadding() + len(" ")
	c.Short = reports.Wrap(strings.Fields(c.Short), used, p.width, strings.Repeat(" ", used))
	for _, sub := range c.Commands() {
		p.fitHelp(sub)
	}
}

// started makes a command and its subcommands record that their command line was
// valid. Errors before that are the user's.
func (p *program) started(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := p.checkLogFormat(); err != nil {
				return err
			}
			p.running = true
			return run(c, args)
		}
	}
	for _, sub := range c.Commands() {
		p.started(sub)
	}
}

// A settingFlag is the flag of a setting, for each command to have a copy of.
type settingFlag struct {
	setting
	flag pflag.Flag
}

// settingFlags returns the flags of all settings, with their defaults.
func settingFlags() (all []settingFlag) {
	blank := defaults()
	blank.detections = detect.All()
	for _, s := range blank.settings() {
		flag := pflag.Flag{Name: flagOf(s.key), Usage: s.doc, DefValue: s.get()}
		if s.toggle {
			flag.NoOptDefVal = "true"
		}
		all = append(all, settingFlag{s, flag})
	}
	return all
}

// withPlaces adds the flags of the configuration that say where reports, state and logs
// are.
func (p *program) withPlaces(c *cobra.Command) func() (*Config, error) {
	return p.withConfig(c, "profile", "state", "out", "s3.endpoint_url", "s3.region")
}

// configuration returns the name of the configuration's file; "": none is named.
func (p *program) configuration() string {
	if p.configFile != "" {
		return p.configFile
	}
	file, _ := p.env("OUTFLOW_CONFIG")
	return file
}

// withConfig adds the flags of the configuration to a command, whose help lists those
// that it uses; nil: all. It returns a function that loads the configuration after the
// command line is parsed, as loadConfig does.
func (p *program) withConfig(c *cobra.Command, uses ...string) func() (*Config, error) {
	c.Flags().StringVarP(&p.configFile, "config", "c", "", "configuration `file` (OUTFLOW_CONFIG)")
	if p.settings == nil {
		p.settings = settingFlags()
	}
	for _, s := range p.settings {
		flag := s.flag
		flag.Value = &flagText{text: flag.DefValue, of: s.setting}
		flag.Hidden = strings.Contains(s.key, ".") && !strings.HasPrefix(s.key, "s3.") || uses != nil && !slices.Contains(uses, s.key)
		c.Flags().AddFlag(&flag)
		if words := wordsOf(s.key); words != nil {
			c.RegisterFlagCompletionFunc(flag.Name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	return func() (*Config, error) {
		given := map[string]string{}
		c.Flags().Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
		config, err := loadConfig(p.configuration(), p.env, given)
		if err != nil {
			return config, err
		}
		p.strangeVariables()
		p.written = config.written
		if config.Memory == 0 {
			config.Memory = defaultMemory
			if limit := p.limit(-1); limit < math.MaxInt64 {
				config.Memory = detect.Bytes(limit) // GOMEMLIMIT
			}
		}
		p.limit(max(int64(config.Memory)-programBytes, programBytes))
		p.where = nil
		for _, name := range []string{"config", "profile", "state", "out"} {
			if text, ok := given[name]; ok {
				p.where = append(p.where, "--"+name, shellWord(text))
			}
		}
		return config, nil
	}
}

// flagNames returns the flags that a command takes, as they are typed.
func flagNames(c *cobra.Command) (names []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return names
}

// commandNames returns the commands below a command that help lists.
func commandNames(c *cobra.Command) (names []string) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// strangeVariables says which variables of the environment look like settings and are none.
func (p *program) strangeVariables() {
	if p.environ == nil {
		return
	}
	known := []string{"OUTFLOW_CONFIG"}
	for _, s := range p.settings {
		known = append(known, envOf(s.key))
	}
	for _, text := range p.environ() {
		name, _, _ := strings.Cut(text, "=")
		if !strings.HasPrefix(name, "OUTFLOW_") || slices.Contains(known, name) {
			continue
		}
		if hint := didYouMean(name, known); hint != "" {
			p.note("the variable %s is no setting%s", name, hint)
		}
	}
}

// except returns the keys of all settings but some.
func except(keys ...string) (rest []string) {
	for _, s := range defaults().settings() {
		if !slices.Contains(keys, s.key) {
			rest = append(rest, s.key)
		}
	}
	return rest
}

// withVerbose adds -v to a command that reads logs.
func (p *program) withVerbose(c *cobra.Command) {
	c.Flags().BoolVarP(&p.verbose, "verbose", "v", false, "list what is wrong with each log, and all that could not be judged")
}

// wordsOf returns the words that a setting may have, nil if they are not a fixed set.
func wordsOf(key string) (words []string) {
	switch key {
	case "profile":
		return []string{"default", "seed"}
	case "fail_on":
		return []string{"info", "low", "medium", "high", "critical"}
	case "reports":
		for _, f := range reports.All {
			words = append(words, f.Name)
		}
	case "disable":
		words = detectionNames(detect.All())
	}
	return words
}

// A flagText is the value of a setting's flag. The flag of a list may be repeated; the
// values add up.
type flagText struct {
	text  string
	given bool
	of    setting
}

func (f *flagText) String() string { return f.text }

func (f *flagText) Set(text string) error {
	if f.of.list && f.given {
		text = f.text + "," + text
	}
	f.text, f.given = text, true
	return nil
}

// Type returns the name of the value's type in help.
func (f *flagText) Type() string {
	switch {
	case f.of.toggle:
		return "bool"
	case f.of.list:
		return "list"
	}
	return "string"
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: cobra.NoArgs, Example: "  outflow version",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(p.stdout, "outflow %s\n", version())
			return err
		},
	}
}

// version returns the version of the module, if the build has one.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "0.1.0-dev"
}
