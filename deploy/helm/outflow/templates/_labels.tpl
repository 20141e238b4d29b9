{{- define "outflow.selector" -}}
app.kubernetes.io/name: outflow
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "outflow.labels" -}}
{{ include "outflow.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{- define "outflow.config" -}}
{{- range $name, $text := .Values.files }}
{{ $name }}: {{ toJson $text }}
{{- end }}
outflow.yaml: |
  {{- toYaml .Values.config | nindent 2 }}
{{- end }}
