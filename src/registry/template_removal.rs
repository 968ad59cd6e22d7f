//! The end of a template: all its versions go at once, and only where nothing
//! stands on any of them.

use super::templates::Standing;
use super::{Registry, RegistryError, Remark, TemplateRecord, append_audit, decode};
use crate::domain::{AuditAction, TemplateName, first_of};
use crate::ports::{Expect, Order, StoreError, Table, Write};

/// What stands on a template that is named where it is refused.
const NAMED: usize = 5;

impl Registry {
    /// Removes a template with all its versions. Its newest version stays
    /// readable in the audit log, and its name is free again.
    ///
    /// # Errors
    /// Where there is none, it has moved on from `version`, or a tenant, another
    /// template (any version of it) or an open rollout stands on it.
    pub async fn remove_template(
        &self,
        name: &TemplateName,
        version: u64,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let found = self.standing(name, Standing::Version(version)).await?;
        let (record, stored) = found.ok_or_else(|| RegistryError::NoSuchTemplate(name.clone(), None))?;
        let users = self.users_of_template(name).await?;
        if !users.is_empty() {
            return Err(RegistryError::TemplateInUse { name: name.clone(), users: first_of(&users, NAMED) });
        }
        let expect = Expect::Version(stored);
        let mut writes = vec![Write::Delete { table: Table::Templates, key: name.to_string(), expect }];
        let (table, prefix) = (Table::TemplateVersions, format!("{name}/"));
        for (key, _) in self.store.scan(table, &prefix, None, Order::Upwards, usize::MAX).await? {
            writes.push(Write::Delete { table, key, expect: Expect::Anything });
        }
        let words = [serde_json::json!(record), serde_json::Value::Null];
        writes.push(append_audit(&self.event(AuditAction::TemplateRemoved, (None, None), words, remark))?);
        match self.commit(writes).await {
            Err(StoreError::Conflict { table: Table::Templates, .. }) => {
                let found = self.template(name).await?.version;
                Err(RegistryError::TemplateMoved { name: name.clone(), expected: version, found })
            }
            other => Ok(other?),
        }
    }

    async fn users_of_template(&self, name: &TemplateName) -> Result<Vec<String>, RegistryError> {
        let mut users = Vec::new();
        for tenant in self.all_tenants().await? {
            if tenant.template.as_ref().is_some_and(|template| template.name == *name) {
                users.push(format!("the tenant {}", tenant.id));
            }
        }
        let table = Table::TemplateVersions;
        for (key, value) in self.store.scan(table, "", None, Order::Upwards, usize::MAX).await? {
            let other: TemplateRecord = decode(table, &key, &value)?;
            let extends = other.template.extends.as_ref().is_some_and(|extends| extends.name == *name);
            if extends && other.template.name != *name {
                users.push(format!("the template {}@{}", other.template.name, other.version));
            }
        }
        for id in self.open_rollouts().await? {
            let (rollout, _) = self.rollout(id).await?;
            if rollout.template.as_ref().is_some_and(|template| template.to.name == *name) {
                users.push(format!("the rollout {:?}", rollout.name));
            }
        }
        Ok(users)
    }
}
