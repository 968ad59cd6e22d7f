//! Templates with all their versions. Several can be written together, all or
//! none; a version that was written is never changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Registry, RegistryError, Remark, append_audit, decode, put};
use crate::domain::template::{Difference, Extends, Fault, Resolved, Template, check, differences};
use crate::domain::{Actor, AuditAction, TemplateName, Timestamp};
use crate::ports::{Expect, Order, StoreError, Table, Write, append_key};

/// How many templates there may be, and how long a chain of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateLimits {
    /// The most templates.
    pub most: usize,
    /// The most templates of a chain, the extending one included.
    pub depth: usize,
}

impl Default for TemplateLimits {
    fn default() -> Self {
        TemplateLimits { most: 1_000, depth: 8 }
    }
}

/// A version of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TemplateRecord {
    /// What it says; what it extends is named with its version.
    pub template: Template,
    /// Rises by one with every change; the first is 1.
    pub version: u64,
    /// When this version was written.
    pub at: Timestamp,
    /// Who wrote it.
    pub by: Actor,
    /// What they said.
    pub comment: Option<String>,
}

/// What must stand before a template is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// None of this name.
    Absent,
    /// This version.
    Version(u64),
    /// Whatever does.
    Any,
}

/// What writing a template did, or would do.
#[derive(Debug, Clone)]
pub struct TemplateWritten {
    /// The version that stands since.
    pub record: TemplateRecord,
    /// All that holds under it.
    pub resolved: Resolved,
    /// The version that stood before; `None` for a new template.
    pub before: Option<u64>,
    /// What changed; empty where it stood so already, and then nothing is
    /// written.
    pub differences: Vec<Difference>,
}

impl TemplateWritten {
    /// Whether there is a new version.
    pub fn is_new(&self) -> bool {
        self.before != Some(self.record.version)
    }
}

/// A fault of one of the templates that were to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateFault {
    /// Which.
    pub template: TemplateName,
    /// What is wrong.
    pub fault: Fault,
}

/// Templates that are about to be written, by name and version.
type Drafts = BTreeMap<(TemplateName, u64), Template>;

impl Registry {
    /// The newest version of a template.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub async fn template(&self, name: &TemplateName) -> Result<TemplateRecord, RegistryError> {
        let found = self.read(Table::Templates, name.as_str()).await?;
        found.map(|(record, _)| record).ok_or_else(|| RegistryError::NoSuchTemplate(name.clone(), None))
    }

    /// One version of a template.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn template_version(
        &self,
        name: &TemplateName,
        version: u64,
    ) -> Result<TemplateRecord, RegistryError> {
        let found = self.read(Table::TemplateVersions, &version_key(name, version)).await?;
        let missing = || RegistryError::NoSuchTemplate(name.clone(), Some(version));
        found.map(|(record, _)| record).ok_or_else(missing)
    }

    /// The version of a template that is named.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn template_named(&self, which: &Extends) -> Result<TemplateRecord, RegistryError> {
        match which.version {
            Some(version) => self.template_version(&which.name, version).await,
            None => self.template(&which.name).await,
        }
    }

    /// Up to `limit` templates after the name `after`, in the order of names.
    pub async fn templates(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TemplateRecord>, RegistryError> {
        let found = self.store.scan(Table::Templates, "", after, Order::Upwards, limit).await?;
        found.iter().map(|(key, value)| Ok(decode(Table::Templates, key, value)?)).collect()
    }

    /// Up to `limit` versions of a template below `before`, the newest first.
    ///
    /// # Errors
    /// Where there is no such template.
    pub async fn template_versions(
        &self,
        name: &TemplateName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<TemplateRecord>, RegistryError> {
        self.template(name).await?;
        let (table, prefix) = (Table::TemplateVersions, format!("{name}/"));
        let below = before.map(|version| version_key(name, version));
        let found = self.store.scan(table, &prefix, below.as_deref(), Order::Downwards, limit).await?;
        found.iter().map(|(key, value)| Ok(decode(table, key, value)?)).collect()
    }

    /// All that holds under a version of a template.
    pub async fn resolved(&self, record: &TemplateRecord) -> Result<Resolved, RegistryError> {
        let chain = self.chain(&record.template, record.version, &Drafts::new(), usize::MAX).await?;
        Ok(resolve(&chain))
    }

    /// Writes templates, all or none; with `dry_run` it only says what would
    /// become of them. They may extend one another. One that stands so already
    /// stays as it is.
    ///
    /// # Errors
    /// Where one does not stand as expected, or anything is wrong with one.
    pub async fn write_templates(
        &self,
        drafts: Vec<(Template, Standing)>,
        limits: TemplateLimits,
        dry_run: bool,
        remark: Remark,
    ) -> Result<Vec<TemplateWritten>, RegistryError> {
        let mut standing = BTreeMap::new();
        for (template, expected) in &drafts {
            let found = self.standing(&template.name, *expected).await?;
            if standing.insert(template.name.clone(), found).is_some() {
                return Err(refused(&template.name, Fault::at("name", "is given twice")));
            }
        }
        let new = standing.values().filter(|found| found.is_none()).count();
        self.check_room(new, limits.most).await?;
        let order: Vec<TemplateName> = drafts.iter().map(|(template, _)| template.name.clone()).collect();
        let mut waiting: Vec<Template> = drafts.into_iter().map(|(template, _)| template).collect();
        let (mut written, mut done) = (BTreeMap::new(), Drafts::new());
        let (mut faults, mut faulty) = (Vec::new(), BTreeSet::new());
        while let Some(template) = next_to_write(&mut waiting)? {
            let name = template.name.clone();
            // What stands on a faulty one would only repeat its faults.
            if template.extends.as_ref().is_some_and(|extends| faulty.contains(&extends.name)) {
                faulty.insert(name);
                continue;
            }
            let before = standing.get(&template.name).cloned().flatten();
            match self.one_written(template, before.as_ref(), &done, limits.depth, &remark).await {
                Ok(one) => {
                    done.insert((name.clone(), one.record.version), one.record.template.clone());
                    written.insert(name, one);
                }
                Err(RegistryError::TemplateRefused(more)) => {
                    faults.extend(more);
                    faulty.insert(name);
                }
                Err(error) => return Err(error),
            }
        }
        if !faults.is_empty() {
            return Err(RegistryError::TemplateRefused(faults));
        }
        if !dry_run {
            self.commit_templates(&written, &standing, &remark).await?;
        }
        Ok(order.iter().filter_map(|name| written.remove(name)).collect())
    }

    /// What stands under a name, with its version in the store.
    pub(super) async fn standing(
        &self,
        name: &TemplateName,
        expected: Standing,
    ) -> Result<Option<(TemplateRecord, u64)>, RegistryError> {
        let found: Option<(TemplateRecord, u64)> = self.read(Table::Templates, name.as_str()).await?;
        match (expected, &found) {
            (Standing::Absent, Some(_)) => Err(RegistryError::TemplateExists(name.clone())),
            (Standing::Version(_), None) => Err(RegistryError::NoSuchTemplate(name.clone(), None)),
            (Standing::Version(expected), Some((record, _))) if record.version != expected => {
                let (name, found) = (name.clone(), record.version);
                Err(RegistryError::TemplateMoved { name, expected, found })
            }
            _ => Ok(found),
        }
    }

    async fn check_room(&self, new: usize, most: usize) -> Result<(), RegistryError> {
        if new == 0 {
            return Ok(());
        }
        let known = self.store.scan(Table::Templates, "", None, Order::Upwards, most + 1).await?.len();
        if known + new > most { Err(RegistryError::TooManyTemplates(most)) } else { Ok(()) }
    }

    /// What would become of one template, where `done` holds those that are
    /// written with it.
    async fn one_written(
        &self,
        mut template: Template,
        before: Option<&(TemplateRecord, u64)>,
        done: &Drafts,
        depth: usize,
        remark: &Remark,
    ) -> Result<TemplateWritten, RegistryError> {
        self.pin(&mut template, done).await?;
        let version = before.map_or(1, |(record, _)| record.version + 1);
        let chain = self.chain(&template, version, done, depth).await?;
        let resolved = resolve(&chain);
        let faults = check(&template, &resolved);
        if !faults.is_empty() {
            let about = |fault| TemplateFault { template: template.name.clone(), fault };
            return Err(RegistryError::TemplateRefused(faults.into_iter().map(about).collect()));
        }
        if let Some((record, _)) = before.filter(|(record, _)| record.template == template) {
            let (record, before) = (record.clone(), Some(record.version));
            return Ok(TemplateWritten { record, resolved, before, differences: Vec::new() });
        }
        let earlier = match before {
            Some((record, _)) => Some((&record.template, self.resolved(record).await?)),
            None => None,
        };
        let earlier = earlier.as_ref().map(|(template, resolved)| (*template, resolved));
        let differences = differences(earlier, Some((&template, &resolved)));
        let (by, comment) = (remark.by.clone(), remark.comment.clone());
        let record = TemplateRecord { template, version, at: self.now(), by, comment };
        let before = before.map(|(record, _)| record.version);
        Ok(TemplateWritten { record, resolved, before, differences })
    }

    /// Names the version that a template extends: the newest, where it says
    /// none.
    async fn pin(&self, template: &mut Template, done: &Drafts) -> Result<(), RegistryError> {
        let name = template.name.clone();
        let both_or_none = template.tier.is_some() == template.extends.is_some();
        if both_or_none {
            let what =
                "or extends must be given, one of the two: a template is made from a tier or from another";
            return Err(refused(&name, Fault::at("tier", what)));
        }
        let Some(extends) = &mut template.extends else { return Ok(()) };
        if extends.version.is_none() {
            let draft =
                done.keys().rev().find(|(name, _)| *name == extends.name).map(|(_, version)| *version);
            extends.version = match draft {
                Some(version) => Some(version),
                None => Some(self.parent(&name, extends, done).await?.0),
            };
        }
        Ok(())
    }

    /// A template and those that it extends, the root first.
    async fn chain(
        &self,
        template: &Template,
        version: u64,
        done: &Drafts,
        depth: usize,
    ) -> Result<Vec<(u64, Template)>, RegistryError> {
        let mut chain = vec![(version, template.clone())];
        let mut names = BTreeSet::from([template.name.clone()]);
        while let Some(extends) = chain.last().and_then(|(_, last)| last.extends.clone()) {
            if !names.insert(extends.name.clone()) {
                let way: Vec<String> = chain.iter().map(|(_, one)| one.name.to_string()).collect();
                let what = format!("leads in a circle: {} -> {}", way.join(" -> "), extends.name);
                return Err(refused(&template.name, Fault::at("extends", what)));
            }
            if chain.len() == depth {
                let what = format!("makes a chain of more than {depth}, as templates.max_depth allows");
                return Err(refused(&template.name, Fault::at("extends", what)));
            }
            chain.push(self.parent(&template.name, &extends, done).await?);
        }
        chain.reverse();
        Ok(chain)
    }

    /// What a template extends, with its version.
    async fn parent(
        &self,
        child: &TemplateName,
        extends: &Extends,
        done: &Drafts,
    ) -> Result<(u64, Template), RegistryError> {
        if let Some(version) = extends.version
            && let Some(draft) = done.get(&(extends.name.clone(), version))
        {
            return Ok((version, draft.clone()));
        }
        match self.template_named(extends).await {
            Ok(record) => Ok((record.version, record.template)),
            Err(RegistryError::NoSuchTemplate(..)) => {
                let what = format!("is {extends}, which is not there; make it first, or name another");
                Err(refused(child, Fault::at("extends", what)))
            }
            Err(error) => Err(error),
        }
    }

    async fn commit_templates(
        &self,
        written: &BTreeMap<TemplateName, TemplateWritten>,
        standing: &BTreeMap<TemplateName, Option<(TemplateRecord, u64)>>,
        remark: &Remark,
    ) -> Result<(), RegistryError> {
        let mut writes: Vec<Write> = Vec::new();
        for (name, one) in written.iter().filter(|(_, one)| one.is_new()) {
            let stored = standing.get(name).and_then(|found| found.as_ref().map(|(_, stored)| *stored));
            let expect = stored.map_or(Expect::Absent, Expect::Version);
            let key = version_key(name, one.record.version);
            writes.push(put(Table::Templates, name.to_string(), expect, &one.record)?);
            writes.push(put(Table::TemplateVersions, key, Expect::Absent, &one.record)?);
            let action = match one.before {
                Some(_) => AuditAction::TemplateChanged,
                None => AuditAction::TemplateCreated,
            };
            let before = one.before.map(|version| serde_json::json!({"template": name, "version": version}));
            let version = one.record.version;
            let after = serde_json::json!(
                {"template": name, "version": version, "differences": one.differences}
            );
            let words = [before.unwrap_or_default(), after];
            writes.push(append_audit(&self.event(action, (None, None), words, remark.clone()))?);
        }
        if writes.is_empty() {
            return Ok(());
        }
        match self.commit(writes).await {
            Err(StoreError::Conflict { table: Table::Templates | Table::TemplateVersions, key }) => {
                let name: TemplateName = key.split('/').next().unwrap_or_default().parse()?;
                let expected =
                    standing.get(&name).and_then(|found| found.as_ref().map(|(one, _)| one.version));
                let found = self.template(&name).await?.version;
                Err(match expected {
                    Some(expected) => RegistryError::TemplateMoved { name, expected, found },
                    None => RegistryError::TemplateExists(name),
                })
            }
            other => Ok(other?),
        }
    }
}

/// Takes out the first template that extends none of those that wait, but for
/// a version of it that is named.
fn next_to_write(waiting: &mut Vec<Template>) -> Result<Option<Template>, RegistryError> {
    let names: BTreeSet<TemplateName> = waiting.iter().map(|template| template.name.clone()).collect();
    let is_free =
        |template: &Template| template.extends.as_ref().is_none_or(|extends| !names.contains(&extends.name));
    if let Some(place) = waiting.iter().position(is_free) {
        return Ok(Some(waiting.remove(place)));
    }
    let Some(first) = waiting.first() else { return Ok(None) };
    let all: Vec<&str> = names.iter().map(TemplateName::as_str).collect();
    let what = format!("leads in a circle among {}", all.join(", "));
    Err(refused(&first.name, Fault::at("extends", what)))
}

fn resolve(chain: &[(u64, Template)]) -> Resolved {
    let tier = chain.first().and_then(|(_, root)| root.tier).unwrap_or(crate::domain::Tier::Free);
    let chain: Vec<(u64, &Template)> = chain.iter().map(|(version, one)| (*version, one)).collect();
    Resolved::of(tier, &chain)
}

fn refused(template: &TemplateName, fault: Fault) -> RegistryError {
    RegistryError::TemplateRefused(vec![TemplateFault { template: template.clone(), fault }])
}

/// The key of one version. No name holds a slash.
fn version_key(name: &TemplateName, version: u64) -> String {
    format!("{name}/{}", append_key(version))
}
