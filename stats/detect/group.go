package detect

import "strings"

// This file says with whom an entity is compared.

// ServiceGroup is the group of service accounts and of machines that make backups. They
// are compared with one another only, and people with people: a night's backup says
// nothing of what a person sends.
const ServiceGroup = "service"

// serviceWords are the parts of names that only service accounts and machines bear.
var serviceWords = []string{
	"svc", "srv", "service", "backup", "bkp", "veeam", "robot", "bot", "daemon", "cron", "gserviceaccount",
	"ci", "cicd", "jenkins", "automation",
}

// GroupOf returns the group of an entity that the configuration puts in none:
// ServiceGroup if a part of its name says so (svc-reporting, ci-bot, 111122223333/backup-role,
// sync@project.iam.gserviceaccount.com, pc-ana$), else "". An address has no group.
func GroupOf(entityType, entity string) string {
	if entityType == entityColumns[addressEntity].String() {
		return ""
	}
	if strings.HasSuffix(entity, "$") { // a machine's account in Active Directory
		return ServiceGroup
	}
	for rest := entity; rest != ""; {
		end := strings.IndexFunc(rest, func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') })
		word := rest
		if end >= 0 {
			word, rest = rest[:end], rest[end+1:]
		} else {
			rest = ""
		}
		for _, w := range serviceWords {
			if len(word) == len(w) && strings.EqualFold(word, w) { // both are ASCII, and this is asked once a row
				return ServiceGroup
			}
		}
	}
	return ""
}
