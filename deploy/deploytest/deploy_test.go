// Package deploytest holds the files of deploy to what reads them: the types of the Kubernetes API, kustomize, Helm's
// engine, systemd, the access rules of S3, and the command line and configuration of outflow. It is a module of its own,
// so that none of these enters outflow's.
package deploytest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

var program string // the path of outflow

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "deploytest")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "outflow")
		build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "./jobs/outflow")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build outflow: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// A manifest is what a set of Kubernetes files declares.
type manifest struct {
	cronJobs  []batch.CronJob
	configs   map[string]core.ConfigMap
	accounts  map[string]core.ServiceAccount
	policies  []networking.NetworkPolicy
	claims    map[string]core.PersistentVolumeClaim
	documents int
}

// decode reads the documents of a stream. A field that its type does not have is an error.
func decode(t *testing.T, text string) manifest {
	t.Helper()
	m := manifest{configs: map[string]core.ConfigMap{}, accounts: map[string]core.ServiceAccount{}, claims: map[string]core.PersistentVolumeClaim{}}
	for document := range strings.SplitSeq(text, "\n---\n") {
		if strings.TrimSpace(strings.Trim(document, "-\n")) == "" {
			continue
		}
		var kind meta.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		strict := func(into any) {
			if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
				t.Errorf("%s: %v:\n%s", kind.Kind, err, document)
			}
		}
		m.documents++
		switch kind.APIVersion + " " + kind.Kind {
		case "batch/v1 CronJob":
			var c batch.CronJob
			strict(&c)
			m.cronJobs = append(m.cronJobs, c)
		case "v1 ConfigMap":
			var c core.ConfigMap
			strict(&c)
			m.configs[c.Name] = c
		case "v1 ServiceAccount":
			var a core.ServiceAccount
			strict(&a)
			m.accounts[a.Name] = a
		case "v1 PersistentVolumeClaim":
			var c core.PersistentVolumeClaim
			strict(&c)
			m.claims[c.Name] = c
		case "networking.k8s.io/v1 NetworkPolicy":
			var p networking.NetworkPolicy
			strict(&p)
			m.policies = append(m.policies, p)
		default:
			t.Errorf("a document of kind %q, which no test knows:\n%s", kind.APIVersion+" "+kind.Kind, document)
		}
	}
	return m
}

// If this fails, an overlay does not build, or Kubernetes refuses or misreads what it makes.
func TestKustomize(t *testing.T) {
	overlays, err := filepath.Glob("../kubernetes/overlays/*")
	if err != nil || len(overlays) == 0 {
		t.Fatalf("no overlays: %v", err)
	}
	for _, overlay := range append(overlays, "../kubernetes/base") {
		t.Run(filepath.Base(overlay), func(t *testing.T) {
			resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), overlay)
			if err != nil {
				t.Fatal(err)
			}
			text, err := resources.AsYaml()
			if err != nil {
				t.Fatal(err)
			}
			m := decode(t, string(text))
			if len(m.cronJobs) != 1 {
				t.Fatalf("got %d CronJobs, want 1", len(m.cronJobs))
			}
			m.check(t)
		})
	}
}

// If this fails, the chart does not render, or Kubernetes refuses or misreads what it makes.
func TestHelm(t *testing.T) {
	for name, c := range map[string]struct {
		values string
		jobs   []string
		claims int
	}{
		"defaults": {"", []string{"r-nightly"}, 0},
		"all": {`
jobs: {hourly: {enabled: true}}
persistence: {enabled: true, storageClass: fast}
serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::111122223333:role/outflow"}}
env: {AWS_REGION: eu-west-1}
files: {identities.csv: "alias,user\n10.0.0.7,ann\n", hostile: "a: \"b\" #1\n---\n{{ .Values }}\n"}
config: {inputs: [{name: proxy, uri: "s3://company-logs/squid/", format: squid}], identities: /etc/outflow/identities.csv}
networkPolicy: {also: [{cidr: 10.0.5.7/32, port: 587}]}
nodeSelector: {pool: batch}
tolerations: [{key: batch, operator: Exists}]
`, []string{"r-hourly", "r-nightly"}, 1},
		"sharded": {"jobs: {nightly: {enabled: false}, sharded: {enabled: true, pods: 20}}", []string{"r-sharded"}, 0},
		"bare":    {"networkPolicy: {enabled: false}\njobs: {nightly: {args: [run, nightly, --fail-on, high]}}", []string{"r-nightly"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := render(c.values)
			if err != nil {
				t.Fatal(err)
			}
			m := decode(t, text)
			var jobs []string
			for _, j := range m.cronJobs {
				jobs = append(jobs, j.Name)
			}
			slices.Sort(jobs)
			also := strings.Contains(c.values, "10.0.5.7/32")
			for _, p := range m.policies {
				if got := slices.ContainsFunc(p.Spec.Egress, func(e networking.NetworkPolicyEgressRule) bool {
					return len(e.To) == 1 && e.To[0].IPBlock != nil && e.To[0].IPBlock.CIDR == "10.0.5.7/32" && len(e.Ports) == 1 && e.Ports[0].Port.IntValue() == 587
				}); got != also {
					t.Errorf("the policy lets pods reach the mail server: %t, want %t", got, also)
				}
			}
			if !slices.Equal(jobs, c.jobs) || len(m.claims) != c.claims {
				t.Errorf("got jobs %v and %d claims, want %v and %d", jobs, len(m.claims), c.jobs, c.claims)
			}
			m.check(t)
		})
	}
}

// If this fails, a mistake in the values of the chart is found by the cluster at best.
func TestHelmRefuses(t *testing.T) {
	for values, want := range map[string]string{
		"image: {repo: x}":                           "repo",
		"job: {}":                                    "job",
		"config: {inputs: []}":                       "config.inputs",
		"jobs: {nightly: {schedule: daily}}":         "schedule",
		"jobs: {nightly: {args: run nightly}}":       "args",
		"jobs: {sharded: {pods: 0}}":                 "pods",
		"memory: 768Mi":                              "memory",
		"persistence: {enabled: 'yes'}":              "persistence.enabled",
		"env: {AWS_REGION: 1}":                       "env.AWS_REGION",
		"jobs: {weekly: {enabled: true, args: [x]}}": "jobs.weekly",
	} {
		if _, err := render(values); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "/", "."), want) {
			t.Errorf("%s: got %v, want an error about %s", values, err, want)
		}
	}
}

// render returns the manifests of the chart with the values, as a release r.
func render(values string) (string, error) {
	chart, err := loader.Load("../helm/outflow")
	if err != nil {
		return "", err
	}
	given, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		return "", err
	}
	all, err := chartutil.ToRenderValues(chart, given, chartutil.ReleaseOptions{Name: "r", Namespace: "security"}, nil)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") {
			fmt.Fprintf(&text, "\n---\n%s", strings.TrimPrefix(files[name], "---\n"))
		}
	}
	return text.String(), nil
}

// check holds what the documents say to each other, to the conventions of a job that runs
// unattended, and to outflow.
func (m manifest) check(t *testing.T) {
	t.Helper()
	for i := range m.cronJobs {
		c := &m.cronJobs[i]
		spec, job, pod := c.Spec, c.Spec.JobTemplate.Spec, c.Spec.JobTemplate.Spec.Template
		container := pod.Spec.Containers[0]
		fail := func(format string, args ...any) {
			t.Helper()
			t.Errorf("CronJob %s: %s", c.Name, fmt.Sprintf(format, args...))
		}
		if spec.TimeZone == nil || *spec.TimeZone != "Etc/UTC" || spec.ConcurrencyPolicy != batch.ForbidConcurrent || spec.StartingDeadlineSeconds == nil {
			fail("timeZone, concurrencyPolicy or startingDeadlineSeconds is not set")
		}
		if job.PodFailurePolicy == nil || pod.Spec.RestartPolicy != core.RestartPolicyNever {
			fail("podFailurePolicy needs restartPolicy Never")
		} else {
			for _, rule := range job.PodFailurePolicy.Rules {
				if rule.OnExitCodes != nil && *rule.OnExitCodes.ContainerName != container.Name {
					fail("podFailurePolicy is about container %s", *rule.OnExitCodes.ContainerName)
				}
			}
		}
		if job.ActiveDeadlineSeconds != nil {
			period := int64(24 * 60 * 60)
			if strings.HasPrefix(spec.Schedule, "0 * ") {
				period = 60 * 60
			}
			if spent := *spec.StartingDeadlineSeconds + *job.ActiveDeadlineSeconds; spent > period {
				fail("may run %d s after its schedule, into the next period", spent)
			}
		} else if container.Args[0] != "version" {
			fail("no activeDeadlineSeconds")
		}
		if i := slices.Index(container.Args, "--of"); i >= 0 {
			// A pod waits for the others, so all must be there.
			if of := container.Args[i+1]; job.CompletionMode == nil || *job.CompletionMode != batch.IndexedCompletion || fmt.Sprint(*job.Completions) != of || fmt.Sprint(*job.Parallelism) != of {
				fail("is not an Indexed Job of %s pods at the same time", of)
			}
		} else if job.CompletionMode != nil {
			fail("is Indexed, but each pod does the whole job")
		}
		if s := pod.Spec.SecurityContext; s == nil || !*s.RunAsNonRoot || *s.RunAsUser != 65532 || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			fail("the pod may be root, or has no seccomp profile")
		}
		if s := container.SecurityContext; s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
			fail("the container has more rights than it needs")
		}
		if a := pod.Spec.AutomountServiceAccountToken; a == nil || *a {
			fail("mounts a token for the Kubernetes API")
		}
		if _, ok := m.accounts[pod.Spec.ServiceAccountName]; !ok {
			fail("no ServiceAccount %s", pod.Spec.ServiceAccountName)
		}
		if !container.Resources.Limits.Memory().Equal(*container.Resources.Requests.Memory()) || container.Resources.Limits.Memory().IsZero() {
			fail("memory request and limit differ")
		}
		for _, p := range m.policies {
			selector, err := meta.LabelSelectorAsSelector(&p.Spec.PodSelector)
			if err != nil || selector.Empty() || !selector.Matches(labelSet(pod.Labels)) {
				fail("NetworkPolicy %s does not select its pods, or selects all", p.Name)
			}
		}
		m.run(t, c)
	}
}

type labelSet map[string]string

func (l labelSet) Has(label string) bool              { _, ok := l[label]; return ok }
func (l labelSet) Get(label string) string            { return l[label] }
func (l labelSet) Lookup(label string) (string, bool) { v, ok := l[label]; return v, ok }

// run lays the container's files out in a folder and calls outflow with its arguments and
// variables, first to check its configuration.
func (m manifest) run(t *testing.T, c *batch.CronJob) {
	t.Helper()
	root := t.TempDir()
	pod := c.Spec.JobTemplate.Spec.Template.Spec
	container := pod.Containers[0]
	places := map[string]string{} // path in the container → path here
	for _, mount := range container.VolumeMounts {
		i := slices.IndexFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			t.Errorf("CronJob %s: no volume %s", c.Name, mount.Name)
			continue
		}
		place := filepath.Join(root, mount.MountPath)
		places[mount.MountPath] = place
		if err := os.MkdirAll(place, 0o755); err != nil {
			t.Fatal(err)
		}
		switch v := pod.Volumes[i]; {
		case v.ConfigMap != nil:
			config, ok := m.configs[v.ConfigMap.Name]
			if !ok {
				t.Errorf("CronJob %s: no ConfigMap %s", c.Name, v.ConfigMap.Name)
			}
			for name, text := range config.Data {
				text = strings.ReplaceAll(text, mount.MountPath+"/", place+"/")
				if err := os.WriteFile(filepath.Join(place, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		case v.PersistentVolumeClaim != nil:
			if _, ok := m.claims[v.PersistentVolumeClaim.ClaimName]; !ok {
				t.Errorf("CronJob %s: no PersistentVolumeClaim %s", c.Name, v.PersistentVolumeClaim.ClaimName)
			}
		case v.EmptyDir == nil:
			t.Errorf("CronJob %s: volume %s has a kind that no test knows", c.Name, v.Name)
		}
	}
	var env []string
	args := slices.Clone(container.Args)
	for _, v := range container.Env {
		value := v.Value
		switch f := v.ValueFrom; {
		case f == nil:
		case f.ResourceFieldRef != nil && f.ResourceFieldRef.Resource == "requests.cpu":
			value = fmt.Sprint(container.Resources.Requests.Cpu().Value())
		case f.FieldRef != nil && f.FieldRef.FieldPath == "metadata.labels['batch.kubernetes.io/job-name']":
			value = c.Name + "-29345678"
		default:
			t.Errorf("CronJob %s: variable %s comes from where no test knows", c.Name, v.Name)
			continue
		}
		for path, place := range places {
			if value == path || strings.HasPrefix(value, path+"/") {
				value = place + strings.TrimPrefix(value, path)
				break
			}
		}
		env = append(env, v.Name+"="+value)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "$("+v.Name+")", value)
		}
	}
	if c.Spec.JobTemplate.Spec.CompletionMode != nil {
		env = append(env, "JOB_COMPLETION_INDEX=0")
	}
	for _, arg := range args {
		if strings.Contains(arg, "$(") {
			t.Errorf("CronJob %s: no variable for %s", c.Name, arg)
		}
	}
	parses(t, args, env)
	validate(t, env)
}

// parses checks that outflow knows the command and its flags, without running it.
func parses(t *testing.T, args, env []string) {
	t.Helper()
	if len(args) < 2 {
		args = append(args, "--quiet")
	}
	// A flag that parses, but that nothing can be: the error must be about it alone.
	out, code := outflow(t, append(slices.Clone(args), "--catch-up=neither"), env)
	if args[0] == "version" {
		out, code = outflow(t, args, env)
		if code != 0 {
			t.Errorf("outflow %v: exit %d: %s", args, code, out)
		}
		return
	}
	if code != 2 || !strings.Contains(out, "catch-up") {
		t.Errorf("outflow %v: exit %d: %s", args, code, out)
	}
}

// validate checks the configuration that the variables name.
func validate(t *testing.T, env []string) {
	t.Helper()
	if out, code := outflow(t, []string{"config", "validate"}, env); code != 0 {
		t.Errorf("the configuration: exit %d: %s", code, out)
	}
}

func outflow(t *testing.T, args, env []string) (output string, code int) {
	t.Helper()
	c := exec.Command(program, args...)
	c.Env, c.Dir = env, t.TempDir()
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// If this fails, systemd does not load a unit, or a unit calls outflow wrongly.
func TestSystemd(t *testing.T) {
	dir := t.TempDir()
	var units []string
	names, err := filepath.Glob("../systemd/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no units: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		unit := filepath.Join(dir, filepath.Base(name))
		units = append(units, unit)
		if err := os.WriteFile(unit, bytes.ReplaceAll(text, []byte("/usr/local/bin/outflow"), []byte(program)), 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".timer") {
			if _, err := os.Stat(strings.TrimSuffix(name, "timer") + "service"); err != nil {
				t.Error(err)
			}
			continue
		}
		start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/outflow (.*)$`).FindSubmatch(text)
		if start == nil {
			t.Fatalf("%s does not start outflow", name)
		}
		parses(t, strings.Fields(string(start[1])), nil)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze: the units were not verified")
	}
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// If this fails, a line of the crontab calls outflow wrongly.
func TestCron(t *testing.T) {
	text, err := os.ReadFile("../cron/outflow")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^\S+ +\S+ \S+ \S+ \S+ +outflow +(.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(lines) != 2 {
		t.Errorf("got %d jobs, want 2", len(lines))
	}
	for _, line := range lines {
		_, command, ok := strings.Cut(line[1], "flock -n ")
		command, _, _ = strings.Cut(command, " 2>&1")
		args := strings.Fields(command)
		if !ok || len(args) < 3 || args[1] != "outflow" || strings.Contains(line[1], "%") {
			t.Errorf("%s: want flock -n LOCK outflow …, without a percent sign", line[1])
			continue
		}
		parses(t, args[2:], nil)
	}
}
